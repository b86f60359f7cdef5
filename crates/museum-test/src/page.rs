//! Pages of bugs: they load, fit, and step.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

use crate::browser::{Browser, key};

/// Largest page.
const MAX_BYTES: u64 = 300 << 10;
/// Widths that a page must fit: a laptop's and a phone's.
const WIDTHS: [u32; 2] = [1280, 390];

/// Clicks from the start to the end; returns the steps after which the page does not show what a machine has.
const STEP_THROUGH: &str = "
    const dumb = [];
    for (const { dataset: { step } } of document.querySelectorAll('[data-step]')) {
        const shown = document.getElementById('state').textContent;
        const marked = document.querySelector('[aria-current=step]').dataset.step;
        if (marked !== step || !shown.includes('store buffer') || !shown.includes('TLB')) dumb.push(step);
        document.querySelector('[data-go=next]').click();
    }
    return dumb";

/// What any page must do.
pub fn check(browser: &Browser, page: &Path) -> Result<()> {
    let bytes = page.metadata()?.len();
    ensure!(bytes <= MAX_BYTES, "{bytes} bytes, at most {MAX_BYTES}");
    for width in WIDTHS {
        browser.resize(width, 800)?;
        browser.load(page, "")?;
        let wide = browser.run("return document.documentElement.scrollWidth")?;
        ensure!(wide.as_u64() <= Some(width.into()), "{wide} pixels wide in a window of {width}");
    }
    let loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")?;
    ensure!(loaded == json!([]), "it loads something: {loaded}");
    browser.resize(1280, 800)?;
    let dumb = browser.run(STEP_THROUGH)?;
    ensure!(dumb == json!([]), "these steps show no machine: {dumb}");
    let last = browser.run("return document.querySelectorAll('[data-step]').length - 1")?;
    ensure!(last.as_u64() > Some(0), "no steps");
    ensure!(browser.text("#counter")? == format!("{last} of {last}"), "the counter is wrong");
    ensure!(browser.shown("#now .failed")? == 1, "the last step does not say what failed");
    ensure!(browser.shown("#code .differs")? > 0, "the code shows no difference");
    browser.content()
}

/// A page of which it is known what it must show.
pub fn check_known(browser: &Browser, museum: &Path) -> Result<()> {
    let page = museum.join("linux-bafb056c-sparc64-trim.html");
    browser.resize(1280, 800)?;
    browser.load(&page, "")?;
    ensure!(current(browser)? == 0, "a page begins at the start");
    ensure!(browser.shown("#state .dangling")? == 0, "something dangles at the start");
    let buffered = step_of(browser, "mm.mask := 0x1 (buffered)")?;
    let drained = step_of(browser, "mm.mask = 0x1 reaches memory")?;
    let freed = step_of(browser, "free frame 1")?;

    // By button.
    for _ in 0..buffered {
        browser.click("[data-go=next]")?;
    }
    ensure!(current(browser)? == buffered, "a button does not step forward");
    let owner = browser.text("#state [aria-label='CPU 0']")?;
    ensure!(owner.contains("mm.mask := 0x1"), "the store is not in CPU 0's buffer: {owner}");
    ensure!(memory(browser, "mm.mask")?.contains("CPUs 0, 1"), "the store has reached memory too early");

    // By keyboard.
    for _ in buffered..drained {
        browser.press(key::RIGHT)?;
    }
    ensure!(current(browser)? == drained, "a key does not step forward");
    let mask = memory(browser, "mm.mask")?;
    ensure!(mask.contains("CPU 0") && mask.contains("was 0x3"), "the mask is not CPU 0's alone: {mask}");
    browser.press(key::LEFT)?;
    ensure!(current(browser)? == drained - 1, "a key does not step back");
    browser.press(key::END)?;
    ensure!(browser.text("#now")?.contains("which was freed (SD-8)"), "the end is not the failure");
    browser.press(key::HOME)?;
    ensure!(current(browser)? == 0, "Home does not lead to the start");
    browser.click("[data-go=last]")?;
    browser.click("[data-go=back]")?;
    browser.click("[data-go=first]")?;
    ensure!(current(browser)? == 0, "buttons do not lead back to the start");

    // By a step itself, and by the slider.
    browser.click(&format!("[data-step='{freed}']"))?;
    check_freed(browser, freed)?;
    browser.run("const s = document.getElementById('slider'); s.value = 1; s.dispatchEvent(new Event('input', {bubbles: true}))")?;
    ensure!(current(browser)? == 1, "the slider does not step");

    // By an address.
    browser.load(&page, &format!("#step={freed}"))?;
    check_freed(browser, freed)?;
    browser.load(&page, "#step=9999")?;
    ensure!(browser.text("#now")?.contains("SD-8"), "a step beyond the end is not the end");
    browser.content()?;
    println!("a known page steps by button, key, slider and address, and shows what it should");
    Ok(())
}

/// Once frame 1 is free, CPU 1 holds a translation that leads to it, and CPU 0 does not.
fn check_freed(browser: &Browser, freed: u64) -> Result<()> {
    ensure!(current(browser)? == freed, "not at the step that frees the frame");
    let held = browser.text("#state [aria-label='CPU 1'] .dangling")?;
    ensure!(held.contains("page 0 → frame 1"), "CPU 1 holds {held}");
    ensure!(browser.shown("#state [aria-label='CPU 0'] .dangling")? == 0, "CPU 0 has flushed");
    ensure!(
        browser.text("#state [aria-label='Given away']")?.contains("frame 1"),
        "frame 1 is not shown as free"
    );
    let place = browser.text("#state [aria-label='CPU 1'] .place")?;
    ensure!(place.contains(".rs:"), "CPU 1 is nowhere in its code: {place}");
    ensure!(
        browser.run("return location.hash")? == json!(format!("#step={freed}")),
        "the address is another step's"
    );
    Ok(())
}

/// Number of the step that does `what`.
fn step_of(browser: &Browser, what: &str) -> Result<u64> {
    let script = format!(
        "const b = [...document.querySelectorAll('[data-step]')].find((b) => b.querySelector('.what')?.textContent === {});\
         return b ? Number(b.dataset.step) : null",
        json!(what)
    );
    browser.run(&script)?.as_u64().with_context(|| format!("no step does {what:?}"))
}

/// The step that is marked as the current one; the counter must say the same.
fn current(browser: &Browser) -> Result<u64> {
    let marked =
        "return [...document.querySelectorAll('[aria-current=step]')].map((b) => Number(b.dataset.step))";
    let marked = browser.run(marked)?;
    let [step] = marked.as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one step is marked: {marked}");
    };
    let step = step.as_u64().context("a step has a number")?;
    let counter = browser.text("#counter")?;
    ensure!(
        counter.starts_with(&format!("{step} of ")),
        "step {step} is marked, and the counter says {counter}"
    );
    Ok(step)
}

/// What the page says of a word in memory.
fn memory(browser: &Browser, word: &str) -> Result<String> {
    let script = format!(
        "return [...document.querySelectorAll('#state .memory .fact')]\
         .find((f) => f.querySelector('dt').textContent === {})?.querySelector('dd').textContent",
        json!(word)
    );
    match browser.run(&script)? {
        Value::String(text) => Ok(text),
        _ => anyhow::bail!("the page does not show {word}"),
    }
}
