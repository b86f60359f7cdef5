//! The entrance: every bug is there, and the filters leave what they should.

use anyhow::{Result, ensure};
use std::path::Path;

use crate::browser::Browser;

const CARDS: &str = ".card";

/// Uses the entrance of `museum`, which has `pages` pages.
pub fn check(browser: &Browser, museum: &Path, pages: usize) -> Result<()> {
    let index = museum.join("index.html");
    browser.resize(1280, 800)?;
    browser.load(&index, "")?;
    ensure!(browser.shown(CARDS)? == pages as u64, "not every bug has a card");
    for (choice, kept) in [
        ("class", "c.dataset.class === 'A'"),
        ("kernel", "c.dataset.kernel === 'Linux'"),
        ("rule", "c.dataset.rules.split(' ').includes('9')"),
    ] {
        let value = match choice {
            "class" => "A",
            "kernel" => "Linux",
            _ => "9",
        };
        browser.click(&format!("#{choice} option[value=\"{value}\"]"))?;
        browser.expect(&format!(
            "[...document.querySelectorAll('.card')].every((c) => c.hidden !== ({kept}))"
        ))?;
        browser.click("[type=reset]")?;
        browser.expect("document.querySelectorAll('.card[hidden]').length === 0")?;
    }
    browser.type_into("#text", "IO_uring sparc64")?;
    browser.expect("location.hash.includes('q=IO_uring')")?;
    let found = browser.run(
        "return [...document.querySelectorAll('.card:not([hidden]) h3')].map((h) => h.textContent).join()",
    )?;
    ensure!(found == "linux-bafb056c-sparc64-trim", "a search finds {found}");
    ensure!(browser.text("#shown")? == format!("1 of {pages}"), "the count is not what is shown");
    ensure!(browser.shown(".class")? == 1, "classes without cards are still there");
    browser.type_into("#text", " nothing-like-it")?;
    browser.expect("!document.getElementById('none').hidden")?;
    browser.load(&index, "#q=io_uring&class=A")?;
    ensure!(browser.shown(CARDS)? >= 1 && browser.shown(".class")? == 1, "an address with filters shows all");
    browser.click(".card:not([hidden]) a")?;
    browser.expect("location.pathname.endsWith('linux-bafb056c-sparc64-trim.html')")?;
    browser.content()?;
    println!("the entrance lists {pages} bugs, searches and filters");
    Ok(())
}
