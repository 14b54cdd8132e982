//! What every process of the platform does, whatever it serves: it reads its flags, waits for the servers that it needs,
//! stops at a signal, and ends with a code and a text that say why.

mod arguments;
mod console;
mod end;
mod patience;
mod signals;

pub use arguments::Arguments;
pub use console::{error, line, note};
pub use end::{chain, run};
pub use patience::{Waiting, until_there};
pub use signals::Stop;
