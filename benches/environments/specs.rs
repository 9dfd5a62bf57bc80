//! What the measured environments hold.

/// The conda packages of the environment that is made again and again; with what they need, there are more than 50.
pub const CONDA: &[&str] = &[
    "python=3.11",
    "attrs",
    "click",
    "iniconfig",
    "ipykernel",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "pip",
    "pluggy",
    "pyyaml",
    "requests",
    "setuptools",
    "wheel",
];

/// The pip packages of that environment; they need nothing else that conda has not brought.
pub const PIP: &[&str] = &[
    "astropy==8.0.2",
    "astropy-iers-data==0.2026.11.2.0.34.55",
    "beautifulsoup4==4.15.0",
    "h5py==3.16.0",
    "markdown-it-py==4.3.0",
    "mdurl==0.1.2",
    "networkx==3.6.1",
    "pyerfa==2.0.1.5",
    "rich==15.0.0",
    "scipy==1.17.1",
    "soupsieve==2.10",
    "tqdm==4.70.1",
];

/// What a larger environment has beside all of that, so that it holds more than 100 packages in more than 10,000 files.
pub const MORE_CONDA: &[&str] = &["fixlib", "fixact", "fixtool", "part-a", "part-b", "part-c", "part-d"];

/// See [`MORE_CONDA`].
pub const MORE_PIP: &[&str] = &["jupyterlab==4.6.6", "sympy==1.14.0"];

/// A pip list that names all that it needs.
pub const PINS: &str = include_str!("pins.txt");

/// The text of an `environment.yml`.
pub fn yml(channel: &str, conda: &[&str], pip: &[&str]) -> String {
    let lines = |indent: &str, items: &[&str]| {
        let lines = items.iter().map(|item| format!("{indent}- {item}\n"));
        lines.collect::<String>()
    };
    format!(
        "channels:\n- {channel}\n- nodefaults\ndependencies:\n{}- pip:\n{}",
        lines("", conda),
        lines("  ", pip)
    )
}
