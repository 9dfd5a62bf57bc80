//! What commands mean, against an engine in memory.

mod added;
mod attaching;
mod building;
mod carrying;
mod case;
mod consoles;
mod engines;
mod evidence;
mod freezing;
mod outlook;
mod pruning;
mod refusal;
mod selection;
mod solving;
mod weighing;
