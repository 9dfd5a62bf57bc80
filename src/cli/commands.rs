//! The commands of the host. One file holds a command's arguments, help and execution; here they are listed and called.

mod add;
mod all;
mod attach;
mod attempt;
mod build;
mod check;
mod completion;
mod compose;
mod config;
mod cp;
mod deploy;
mod destroy;
mod diff;
mod doctor;
mod exec;
mod freeze;
mod graph;
mod image;
mod init;
mod lab;
mod lock;
mod man;
mod packages;
mod plan;
mod promote;
mod prune;
mod push;
mod remove;
mod report;
mod rollback;
mod runs;
mod secrets;
mod settings;
mod shell;
mod status;
mod test;
mod wait;
mod why;

use clap::{Parser, Subcommand};

use super::applets;
use super::args::Global;
use super::failure::Failure;
use super::output;
use super::template;

/// Turns the definition of a JupyterHub user image into a tested, pushed container image.
#[derive(Debug, Parser)]
#[command(name = "floe", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Build(build::Arguments),
    Test(Box<test::TestArgs>),
    Push(push::PushArgs),
    All(all::AllArgs),
    Shell(Box<shell::ShellArgs>),
    Exec(Box<exec::ExecArgs>),
    Lab(Box<lab::LabArgs>),
    Cp(cp::CpArgs),
    Plan(plan::PlanArgs),
    Add(add::AddArgs),
    Remove(remove::RemoveArgs),
    #[command(name = "try")]
    Attempt(Box<attempt::TryArgs>),
    Lock(lock::LockArgs),
    Freeze(freeze::FreezeArgs),
    Diff(diff::DiffArgs),
    Packages(packages::PackagesArgs),
    Why(why::WhyArgs),
    Graph(graph::GraphArgs),
    Report(report::ReportArgs),
    Runs(runs::RunsArgs),
    Attach(attach::AttachArgs),
    Status(status::StatusArgs),
    Promote(promote::PromoteArgs),
    Rollback(rollback::RollbackArgs),
    Config(config::ConfigArgs),
    Init(init::InitArgs),
    Secrets(secrets::SecretsArgs),
    Wait(wait::WaitArgs),
    Check(check::CheckArgs),
    Deploy(deploy::DeployArgs),
    Destroy(destroy::DestroyArgs),
    Doctor(doctor::DoctorArgs),
    Settings(settings::SettingsArgs),
    Prune(prune::PruneArgs),
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
    Compose(compose::ComposeArgs),
    Image(image::ImageArgs),
    /// Render a template that standard input holds
    #[command(name = template::COMMAND, hide = true)]
    RenderTemplate,
    /// Run a command as it runs inside an image, e.g. `floe applet test-imports base numpy`
    #[command(disable_help_flag = true)]
    Applet {
        /// The name of the command, and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
}

/// Executes the command that was asked for.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let global = &cli.global;
    output::speak(global.manner());
    match cli.command {
        Command::Build(args) => build::execute(global, &args).await,
        Command::Test(args) => test::execute(global, *args).await,
        Command::Push(args) => push::execute(global, &args).await,
        Command::All(args) => all::execute(global, &args).await,
        Command::Shell(args) => shell::execute(global, *args).await,
        Command::Exec(args) => exec::execute(global, *args).await,
        Command::Lab(args) => lab::execute(global, *args).await,
        Command::Cp(args) => cp::execute(global, args).await,
        Command::Plan(args) => plan::execute(global, &args).await,
        Command::Add(args) => add::execute(global, &args),
        Command::Attempt(args) => attempt::execute(global, &args).await,
        Command::Remove(args) => remove::execute(global, &args),
        Command::Lock(args) => lock::execute(global, &args),
        Command::Freeze(args) => freeze::execute(global, &args).await,
        Command::Diff(args) => diff::execute(global, &args).await,
        Command::Packages(args) => packages::execute(global, &args).await,
        Command::Why(args) => why::execute(global, &args).await,
        Command::Graph(args) => graph::execute(global, &args).await,
        Command::Report(args) => report::execute(global, &args),
        Command::Runs(args) => runs::execute(global, &args).await,
        Command::Attach(args) => attach::execute(global, &args).await,
        Command::Status(args) => status::execute(global, &args).await,
        Command::Promote(args) => promote::execute(global, &args).await,
        Command::Rollback(args) => rollback::execute(global, &args).await,
        Command::Config(args) => config::execute(global, &args),
        Command::Init(args) => init::execute(global, &args).await,
        Command::Secrets(args) => secrets::execute(global, &args),
        Command::Wait(args) => wait::execute(global, &args).await,
        Command::Check(args) => check::execute(global, &args).await,
        Command::Deploy(args) => deploy::execute(global, &args).await,
        Command::Destroy(args) => destroy::execute(global, &args).await,
        Command::Doctor(args) => doctor::execute(global, &args).await,
        Command::Prune(args) => prune::execute(global, &args).await,
        Command::Completion(args) => completion::execute(&args),
        Command::Man(args) => man::execute(&args),
        Command::Settings(args) => settings::execute(global, &args),
        Command::Compose(args) => compose::execute(global, &args),
        Command::Image(args) => image::execute(global, &args).await,
        Command::RenderTemplate => template::execute(),
        Command::Applet { words } => applets::run(words.into_iter().map(Into::into).collect()).await,
    }
}
