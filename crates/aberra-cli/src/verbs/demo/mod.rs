//! `aberra demo`: the whole pipeline on phantoms, in a folder of its own.

mod images;
mod setup;
mod volumes;

pub(crate) use self::setup::DemoArgs;
use crate::error::CommandResult;

pub(crate) fn run(args: &DemoArgs) -> CommandResult {
    if args.volumes { volumes::run(args) } else { images::run(args) }
}
