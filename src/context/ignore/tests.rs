//! `.dockerignore` against the table of Docker's own tests, and what people write.

use super::*;

/// Whether the file leaves the path out, and with it what is below.
pub(super) fn leaves_out(text: &str, path: &str) -> bool {
    let ignore = Ignore::parse(text).unwrap();
    let mut matched = Matched::default();
    let mut so_far = PathBuf::new();
    for part in Path::new(path).components() {
        so_far.push(part);
        matched = ignore.of(&so_far, &matched);
    }
    matched.out
}

/// Pattern, path, and whether Docker leaves the path out: the table of `patternmatcher`'s own tests, and what people
/// write.
const TABLE: &[(&str, &str, bool)] = &[
    ("**", "file", true),
    ("**", "dir/file", true),
    ("**/", "file", true),
    ("**/", "dir/file", true),
    ("**/**", "dir/file", true),
    ("dir/**", "dir/file", true),
    ("dir/**", "dir/dir2/file", true),
    ("dir/**", "dir", false),
    ("**/dir", "dir", true),
    ("**/dir", "dir/file", true),
    ("**/dir2/*", "dir/dir2/file", true),
    ("**/dir2/*", "dir/dir2/dir2/file", true),
    ("**/dir2/**", "dir/dir2/dir2/file", true),
    ("**file", "file", true),
    ("**file", "dir/file", true),
    ("**/file", "dir/file", true),
    ("**file", "dir/dir/file", true),
    ("**/file", "dir/dir/file", true),
    ("**/file*", "dir/dir/file", true),
    ("**/file*", "dir/dir/file.txt", true),
    ("**/file*txt", "dir/dir/file.txt", true),
    ("**/file*.txt", "dir/dir/file.txt", true),
    ("**/file*.txt*", "dir/dir/file.txt", true),
    ("**/**/*.txt", "dir/dir/file.txt", true),
    ("**/**/*.txt2", "dir/dir/file.txt", false),
    ("**/*.txt", "file.txt", true),
    ("**/**/*.txt", "file.txt", true),
    ("a**/*.txt", "a/file.txt", true),
    ("a**/*.txt", "a/dir/file.txt", true),
    ("a**/*.txt", "a/dir/dir/file.txt", true),
    ("a/*.txt", "a/dir/file.txt", false),
    ("a/*.txt", "a/file.txt", true),
    ("a/*.txt**", "a/file.txt", true),
    ("a[b-d]e", "ae", false),
    ("a[b-d]e", "ace", true),
    ("a[b-d]e", "aae", false),
    ("a[^b-d]e", "aze", true),
    (".*", ".foo", true),
    (".*", "foo", false),
    ("abc.def", "abcdef", false),
    ("abc.def", "abc.def", true),
    ("abc.def", "abcZdef", false),
    ("abc?def", "abcZdef", true),
    ("abc?def", "abcdef", false),
    ("a\\\\", "a\\", true),
    ("**/foo/bar", "foo/bar", true),
    ("**/foo/bar", "dir/foo/bar", true),
    ("abc/**", "abc", false),
    ("abc/**", "abc/def", true),
    ("abc/**", "abc/def/ghi", true),
    ("**/.foo", ".foo", true),
    ("**/.foo", "bar.foo", false),
    ("a(b)c/def", "a(b)c/def", true),
    ("a(b)c/def", "a(b)c/xyz", false),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
    (
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        true,
    ),
    (
        "dist/*.whl",
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        true,
    ),
    ("x{1,2}", "x1", false),
    ("x{1,2}", "x{1,2}", true),
    ("a/../b", "b", true),
    ("./a", "a", true),
    ("/a", "a", true),
    ("a/", "a/b", true),
    ("a//b", "a/b", true),
    ("../a", "a", false),
    ("/../a", "a", true),
    ("  a  ", "a", true),
    ("\u{feff}a", "a", true),
    ("#a", "#a", false),
    (" #a", "#a", true),
    ("\\#a", "#a", true),
    ("a", "dir/a", false),
    ("*", "dir/a", true),
    ("*/a", "dir/a", true),
    ("*/a", "dir/dir/a", false),
    ("a\n!a", "a", false),
    ("!a\na", "a", true),
    ("*\n!a", "a", false),
    ("*\n!dir/a", "dir/a", false),
    ("*\n!dir/a", "dir/b", true),
    ("dir\n! dir/a", "dir/a", false),
    ("**/*.py\n!keep/**\nkeep/x.py", "keep/y.py", false),
    ("**/*.py\n!keep/**\nkeep/x.py", "keep/x.py", true),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
    ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
    ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
    ("a\n\n  \n# c\nb", "b", true),
    ("a^b", "a^b", true),
    ("[a&&b]", "&", true),
    ("[[x]", "[", true),
];

#[test]
fn paths_are_left_out_as_docker_leaves_them_out() {
    let wrong = TABLE.iter().filter(|(text, path, out)| leaves_out(text, path) != *out);
    assert_eq!(wrong.collect::<Vec<_>>(), [] as [&(&str, &str, bool); 0]);
}

#[test]
fn what_docker_refuses_is_refused_with_its_line() {
    for text in [
        "a\n[", "a\n[a", "a\n[]", "a\n[-a]", "a\n[a-]", "a\nb\\", "a\n!", "a\n! ",
    ] {
        let (line, _) = Ignore::parse(text).unwrap_err();
        assert_eq!(line, 2, "{text:?}");
    }
}

#[test]
fn a_file_of_the_dockerfiles_own_comes_first() {
    let root = tempfile::tempdir().unwrap();
    let count = || Ignore::read(root.path()).unwrap().patterns.len();
    assert_eq!(count(), 0);
    fs::write(root.path().join(".dockerignore"), "a\nb\n").unwrap();
    assert_eq!(count(), 2);
    fs::write(root.path().join("Dockerfile.dockerignore"), "a\n").unwrap();
    assert_eq!(count(), 1);
}
