//! `shootdown-museum-test`: opens the pages that `shootdown explain --all --html DIR` wrote in a headless browser, uses
//! them as a reader would, and says what does not work.

mod browser;
mod driver;
mod index;
mod page;
mod picture;

use anyhow::{Context, Result, ensure};
use browser::Browser;
use clap::Parser;
use driver::Driver;
use std::fs;
use std::path::{Path, PathBuf};

/// Look at the pages of a museum in a headless Chromium; exit with 1 at the first thing that does not work
#[derive(Debug, Parser)]
#[command(name = "shootdown-museum-test")]
struct Cli {
    /// Folder that `shootdown explain --all --html` has written
    museum: PathBuf,
    /// Where to put screenshots
    #[arg(long, value_name = "DIR")]
    shots: Option<PathBuf>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let museum = cli.museum.canonicalize().with_context(|| format!("no folder {}", cli.museum.display()))?;
    let pages = pages(&museum)?;
    if let Some(shots) = &cli.shots {
        fs::create_dir_all(shots).with_context(|| format!("cannot make {}", shots.display()))?;
    }
    let driver = Driver::start()?;
    let browser = Browser::open(&driver)?;
    let shots = cli.shots.as_deref();
    index::check(&browser, &museum, pages.len())?;
    for page in &pages {
        page::check(&browser, page).with_context(|| format!("on {}", page.display()))?;
    }
    println!("{} pages load without a complaint, and step from start to end", pages.len());
    page::check_known(&browser, &museum)?;
    picture::check(&browser, &museum, shots)?;
    Ok(())
}

/// Pages of bugs in `museum`, sorted.
fn pages(museum: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(museum)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "html") && !path.ends_with("index.html") {
            pages.push(path);
        }
    }
    ensure!(!pages.is_empty(), "{} has no pages", museum.display());
    pages.sort();
    Ok(pages)
}
