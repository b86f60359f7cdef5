//! The pages of the museum in a headless Chromium, used as a reader would. `cargo xtask ci museum` runs this; the pages
//! are then in `target/museum`, screenshots of them in `target/museum-shots`.

use assert_cmd::Command;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use url::{ParseError, Url};

/// How to get what is missing.
const INSTALL: &str = "`apt-get install -y chromium chromium-driver` installs it; ./test does so as root";
/// The browser talks to nobody.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];
/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that a page may take to do what it was asked.
const SETTLE: Duration = Duration::from_secs(10);
/// Largest page.
const MAX_BYTES: u64 = 320 << 10;
/// Widths that a page must fit: a laptop's and a phone's.
const WIDTHS: [u32; 2] = [1280, 390];
/// The page of which it is known what it must show.
const KNOWN: &str = "linux-bafb056c-sparc64-trim.html";
/// The page of a bug that came with the fix of an older one.
const CHAINED: &str = "linux-16af97dc-shared-flag.html";

#[test]
fn the_pages_work_in_a_browser() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let museum = emptied(&target.join("museum"));
    let mut command = Command::cargo_bin("shootdown").expect("the command is built");
    command.args(["explain", "--all", "--html"]).arg(&museum).assert().success();
    let museum = museum.canonicalize().expect("the command made it");
    let pages = pages(&museum);

    let browser = Browser::open();
    check_index(&browser, &museum, pages.len());
    for width in WIDTHS {
        browser.resize(width, 800);
        browser.load(&museum.join("index.html"), "");
        check_width(&browser, width);
    }
    for page in &pages {
        println!("on {}", page.display());
        check_any(&browser, page);
    }
    check_known(&browser, &museum.join(KNOWN));
    check_contrast(&browser, &museum);
    for file in ["index.html", KNOWN] {
        check_tab_order(&browser, &museum.join(file));
    }
    check_pictures(&browser, &museum, &emptied(&target.join("museum-shots")));
}

/// Makes a folder anew: pages of bugs that have gone must not be looked at again.
fn emptied(folder: &Path) -> PathBuf {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("a folder that can be removed");
    }
    fs::create_dir_all(folder).expect("a folder that can be made");
    folder.to_owned()
}

/// Pages of bugs in `museum`, sorted.
fn pages(museum: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(museum).expect("the museum").map(|entry| entry.expect("a file").path());
    let is_page =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "html") && !path.ends_with("index.html");
    let mut pages: Vec<PathBuf> = files.filter(is_page).collect();
    assert!(!pages.is_empty(), "{} has no pages", museum.display());
    pages.sort();
    pages
}

/// The entrance: every bug is there, and the filters leave what they should.
fn check_index(browser: &Browser, museum: &Path, pages: usize) {
    let index = museum.join("index.html");
    browser.resize(1280, 800);
    browser.load(&index, "");
    assert_eq!(browser.shown(".card"), pages as u64, "not every bug has a card");
    for (choice, value, kept) in [
        ("class", "A", "c.dataset.class === 'A'"),
        ("kernel", "Linux", "c.dataset.kernel === 'Linux'"),
        ("rule", "9", "c.dataset.rules.split(' ').includes('9')"),
        ("needs", "weaker", "c.dataset.needs !== 'sc'"),
        ("needs", "tso", "c.dataset.needs === 'tso'"),
        ("year", "2017", "c.dataset.year === '2017'"),
    ] {
        browser.click(&format!("#{choice} option[value=\"{value}\"]"));
        browser
            .expect(&format!("[...document.querySelectorAll('.card')].every((c) => c.hidden !== ({kept}))"));
        browser.click("[type=reset]");
        browser.expect("document.querySelectorAll('.card[hidden]').length === 0");
    }
    check_timeline(browser);
    browser.type_into("#text", "IO_uring sparc64");
    browser.expect("location.hash.includes('q=IO_uring')");
    let found = browser.run(
        "return [...document.querySelectorAll('.card:not([hidden]) h3')].map((h) => h.textContent).join()",
    );
    assert_eq!(found, "linux-bafb056c-sparc64-trim", "what the search finds");
    assert_eq!(browser.text("#shown"), format!("1 of {pages}"), "the count is not what is shown");
    assert_eq!(browser.shown(".class"), 1, "classes without cards are still there");
    browser.type_into("#text", " nothing-like-it");
    browser.expect("!document.getElementById('none').hidden");
    browser.load(&index, "#q=io_uring&class=A");
    assert!(browser.shown(".card") >= 1 && browser.shown(".class") == 1, "an address with filters shows all");
    browser.click(".card:not([hidden]) a");
    browser.expect(&format!("location.pathname.endsWith('{KNOWN}')"));
    browser.must_not_complain();
}

/// A bar of the timeline chooses its year, says so, and gives it back.
fn check_timeline(browser: &Browser) {
    let bar = ".timeline [data-year='2020']";
    let pressed = |value: bool| {
        let pressed = format!("document.querySelector(\"{bar}\").getAttribute('aria-pressed') === '{value}'");
        browser.expect(&pressed);
    };
    browser.click(bar);
    pressed(true);
    browser.expect("location.hash === '#year=2020'");
    let of_year = browser.run("return document.querySelectorAll(\".card[data-year='2020']\").length");
    assert!(of_year.as_u64() > Some(5), "{of_year} bugs of 2020");
    assert_eq!(Some(browser.shown(".card")), of_year.as_u64(), "the bar does not choose its year");
    assert!(browser.text(bar).contains(&of_year.to_string()), "the bar's count is another");
    browser.click(bar);
    pressed(false);
    browser.expect("document.querySelectorAll('.card[hidden]').length === 0");
}

/// Returns the texts whose colour is too near to the colour behind them: less than 4.5 to 1, or 3 to 1 where they are
/// large.
const CONTRAST: &str = "
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const over = (top, below) => {
        const alpha = top.length > 3 ? top[3] : 1;
        return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha));
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((part) => part / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const all = [];
        for (let at = element; at; at = at.parentElement) all.push(rgb(getComputedStyle(at).backgroundColor));
        return all.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
    };
    const low = new Set();
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
        if (element.closest('script, style, [aria-disabled=true], .hidden')) continue;
        const style = getComputedStyle(element);
        let opacity = 1;
        for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
        const ground = behind(element);
        const ink = over([...rgb(style.color).slice(0, 3), (rgb(style.color)[3] ?? 1) * opacity], ground);
        const [high, dark] = [light(ink), light(ground)].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (dark + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (large ? 3 : 4.5))
            low.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)} ${walk.currentNode.textContent.trim().slice(0, 30)}`);
    }
    return [...low].slice(0, 12)";

/// In both themes each text can be told from what is behind it, at the start of a page and at its end.
fn check_contrast(browser: &Browser, museum: &Path) {
    browser.resize(1280, 800);
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for (file, fragment) in
            [("index.html", ""), ("index.html", "#year=2020"), (KNOWN, "#step=7"), (KNOWN, "#step=9999")]
        {
            browser.load(&museum.join(file), fragment);
            browser.run("for (const fold of document.querySelectorAll('details')) fold.open = true");
            assert_eq!(browser.run(CONTRAST), json!([]), "{scheme}, {file}{fragment}");
        }
    }
}

/// The tab key goes through what can be used in the order in which it stands, from the link that skips the rest.
fn check_tab_order(browser: &Browser, page: &Path) {
    const STOPS: usize = 25;
    const MARK: &str = "
        const all = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')];
        const usable = all.filter((e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled);
        usable.forEach((e, at) => { e.dataset.stop = at; });
        return [usable.length, all.filter((e) => e.tabIndex > 0).length]";
    browser.load(page, "");
    let marked = browser.run(MARK);
    assert_eq!(marked[1], 0, "an order of its own: {}", page.display());
    let stops = marked[0].as_u64().map_or(0, |count| STOPS.min(count as usize));
    for stop in 0..stops {
        browser.press(Key::Tab);
        let at = browser.run(
            "return [document.activeElement.dataset.stop, document.activeElement.outerHTML.slice(0, 80)]",
        );
        assert_eq!(at[0], stop.to_string(), "{}: {at}", page.display());
        let outlined = browser.run(
            "const e = document.activeElement; return e.matches('.skip') || getComputedStyle(e).outlineStyle !== 'none'",
        );
        assert_eq!(outlined, true, "{}: nothing shows the focus on {at}", page.display());
    }
}

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

/// What any page must do: it loads without a complaint, fits, and steps from start to end.
fn check_any(browser: &Browser, page: &Path) {
    let bytes = page.metadata().expect("a page").len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes, at most {MAX_BYTES}");
    for width in WIDTHS {
        browser.resize(width, 800);
        browser.load(page, "");
        check_width(browser, width);
    }
    let loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)");
    assert_eq!(loaded, json!([]), "it loads something");
    browser.resize(1280, 800);
    assert_eq!(browser.run(STEP_THROUGH), json!([]), "steps that show no machine");
    let last = browser.run("return document.querySelectorAll('[data-step]').length - 1");
    assert!(last.as_u64() > Some(0), "no steps");
    assert_eq!(browser.text("#counter"), format!("{last} of {last}"), "the counter is wrong");
    assert_eq!(browser.shown("#now .failed"), 1, "the last step does not say what failed");
    assert!(browser.shown("#code .differs") > 0, "the code shows no difference");
    browser.must_not_complain();
}

/// A page that is wider than its window has to be pushed to and fro.
fn check_width(browser: &Browser, width: u32) {
    let wide = browser.run("return document.documentElement.scrollWidth");
    assert!(wide.as_u64() <= Some(width.into()), "{wide} pixels wide in a window of {width}");
}

/// The known page steps by button, key, slider and address, and shows what it should.
fn check_known(browser: &Browser, page: &Path) {
    browser.resize(1280, 800);
    browser.load(page, "");
    assert_eq!(current(browser), 0, "a page begins at the start");
    assert_eq!(browser.shown("#state .dangling"), 0, "something dangles at the start");
    let buffered = step_of(browser, "mm.mask := 0x1 (buffered)");
    let drained = step_of(browser, "mm.mask = 0x1 reaches memory");
    let freed = step_of(browser, "free frame 1");

    // By button.
    for _ in 0..buffered {
        browser.click("[data-go=next]");
    }
    assert_eq!(current(browser), buffered, "a button does not step forward");
    let owner = browser.text("#state [aria-label='CPU 0']");
    assert!(owner.contains("mm.mask := 0x1"), "the store is not in CPU 0's buffer: {owner}");
    assert!(memory(browser, "mm.mask").contains("CPUs 0, 1"), "the store has reached memory too early");

    // By keyboard.
    for _ in buffered..drained {
        browser.press(Key::Right);
    }
    assert_eq!(current(browser), drained, "a key does not step forward");
    let mask = memory(browser, "mm.mask");
    assert!(mask.contains("CPU 0") && mask.contains("was 0x3"), "the mask is not CPU 0's alone: {mask}");
    browser.press(Key::Left);
    assert_eq!(current(browser), drained - 1, "a key does not step back");
    browser.press(Key::End);
    assert!(browser.text("#now").contains("which was freed (SD-8)"), "the end is not the failure");
    browser.press(Key::Home);
    assert_eq!(current(browser), 0, "Home does not lead to the start");
    browser.click("[data-go=last]");
    browser.click("[data-go=back]");
    browser.click("[data-go=first]");
    assert_eq!(current(browser), 0, "buttons do not lead back to the start");

    // By a step itself, and by the slider.
    browser.click(&format!("[data-step='{freed}']"));
    check_freed(browser, freed);
    browser.run("const s = document.getElementById('slider'); s.value = 1; s.dispatchEvent(new Event('input', {bubbles: true}))");
    assert_eq!(current(browser), 1, "the slider does not step");

    // By an address.
    browser.load(page, &format!("#step={freed}"));
    check_freed(browser, freed);
    browser.load(page, "#step=9999");
    assert!(browser.text("#now").contains("SD-8"), "a step beyond the end is not the end");
    browser.must_not_complain();
}

/// Once frame 1 is free, CPU 1 holds a translation that leads to it, and CPU 0 does not.
fn check_freed(browser: &Browser, freed: u64) {
    assert_eq!(current(browser), freed, "not at the step that frees the frame");
    let held = browser.text("#state [aria-label='CPU 1'] .dangling");
    assert!(held.contains("page 0 → frame 1"), "CPU 1 holds {held}");
    assert_eq!(browser.shown("#state [aria-label='CPU 0'] .dangling"), 0, "CPU 0 has flushed");
    let free = browser.text("#state [aria-label='Given away']");
    assert!(free.contains("frame 1"), "frame 1 is not shown as free: {free}");
    let place = browser.text("#state [aria-label='CPU 1'] .place");
    assert!(place.contains(".rs:"), "CPU 1 is nowhere in its code: {place}");
    let hash = browser.run("return location.hash");
    assert_eq!(hash, format!("#step={freed}"), "the address is another step's");
}

/// Number of the step that does `what`.
fn step_of(browser: &Browser, what: &str) -> u64 {
    let script = format!(
        "const b = [...document.querySelectorAll('[data-step]')].find((b) => b.querySelector('.what')?.textContent === {});\
         return b ? Number(b.dataset.step) : null",
        json!(what)
    );
    browser.run(&script).as_u64().unwrap_or_else(|| panic!("no step does {what:?}"))
}

/// The step that is marked as the current one; the counter must say the same.
fn current(browser: &Browser) -> u64 {
    let marked = browser.run(
        "return [...document.querySelectorAll('[aria-current=step]')].map((b) => Number(b.dataset.step))",
    );
    let [step] = marked.as_array().map(Vec::as_slice).unwrap_or_default() else {
        panic!("not one step is marked: {marked}");
    };
    let step = step.as_u64().expect("a step has a number");
    let counter = browser.text("#counter");
    assert!(
        counter.starts_with(&format!("{step} of ")),
        "step {step} is marked, and the counter says {counter}"
    );
    step
}

/// What the page says of a word in memory.
fn memory(browser: &Browser, word: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('#state .memory .fact')]\
         .find((f) => f.querySelector('dt').textContent === {})?.querySelector('dd').textContent",
        json!(word)
    );
    let said = browser.run(&script);
    said.as_str().unwrap_or_else(|| panic!("the page does not show {word}")).to_owned()
}

/// Colours of which a page of text has more, because its letters are smoothed.
const COLOURS: usize = 60;
/// Largest share, in percent, of a picture's most frequent colour.
const MOST: usize = 97;
/// Screenshots: name, file, fragment, colour scheme, size.
const SHOTS: [(&str, &str, &str, &str, (u32, u32)); 10] = [
    ("index-light", "index.html", "", "light", (1280, 800)),
    ("index-dark", "index.html", "#needs=weaker", "dark", (1280, 800)),
    ("index-phone", "index.html", "", "dark", (390, 844)),
    ("chain-light", CHAINED, "#protocols", "light", (1280, 800)),
    ("chain-phone", CHAINED, "#protocols", "dark", (390, 844)),
    ("page-light", KNOWN, "", "light", (1280, 800)),
    ("steps-light", KNOWN, "#step=12", "light", (1280, 800)),
    ("steps-dark", KNOWN, "#step=12", "dark", (1280, 800)),
    ("steps-phone", KNOWN, "#step=12", "light", (390, 844)),
    ("code-dark", KNOWN, "#code", "dark", (1280, 800)),
];

/// Takes the screenshots: they have the size of the window, and something is on them.
fn check_pictures(browser: &Browser, museum: &Path, folder: &Path) {
    for (name, file, fragment, scheme, size) in SHOTS {
        browser.resize(size.0, size.1);
        browser.prefer(scheme);
        browser.load(&museum.join(file), fragment);
        let picture = browser.screenshot();
        fs::write(folder.join(format!("{name}.png")), &picture).expect("the folder of screenshots");
        assert_eq!(look(&picture, size, scheme), Ok(()), "screenshot {name}");
    }
}

/// Says what is wrong with a picture, if anything.
fn look(file: &[u8], size: (u32, u32), scheme: &str) -> Result<(), String> {
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let info = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
    let mut colours: HashMap<&[u8], usize> = HashMap::new();
    for pixel in pixels[..info.buffer_size()].chunks_exact(info.color_type.samples()) {
        *colours.entry(pixel).or_default() += 1;
    }
    let total: usize = colours.values().sum();
    let (ground, count) = colours.iter().max_by_key(|(_, count)| **count).ok_or("it has no pixel")?;
    let is_dark = ground.iter().take(3).map(|&part| u32::from(part)).sum::<u32>() < 3 * 128;
    if (info.width, info.height) != size {
        return Err(format!("{}x{} instead of {size:?}", info.width, info.height));
    }
    if colours.len() < COLOURS || count * 100 > total * MOST {
        return Err(format!(
            "{} colours, and {count} of {total} pixels are {ground:?}: it is blank",
            colours.len()
        ));
    }
    if is_dark != (scheme == "dark") {
        return Err(format!("{scheme} was asked for, the ground is {ground:?}"));
    }
    Ok(())
}

#[test]
fn a_picture_that_is_blank_or_of_another_size_or_scheme_is_refused() {
    let encoded = |(width, height): (u32, u32), colour: fn(usize) -> [u8; 3]| {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..(width * height) as usize).flat_map(colour).collect();
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("a picture");
        file
    };
    let size = (64, 64);
    let varied = |at: usize| if at % 2 == 0 { [250; 3] } else { [(at % 200) as u8; 3] };
    assert_eq!(look(&encoded(size, varied), size, "light"), Ok(()));
    let refused = |file: &[u8], scheme| look(file, size, scheme).expect_err("a picture to refuse");
    assert!(refused(&encoded(size, |_| [250; 3]), "light").contains("blank"));
    assert!(refused(&encoded((8, 8), varied), "light").contains("instead of"));
    assert!(refused(&encoded(size, varied), "dark").contains("asked for"));
}

/// A window of a headless Chromium.
struct Browser {
    runtime: Runtime,
    client: Client,
    /// Dropped last: the session is ended before.
    _driver: Driver,
}

impl Browser {
    fn open() -> Self {
        let driver = Driver::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": FLAGS},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted.as_object().expect("an object").clone());
        let connected = runtime.block_on(builder.connect(&driver.address));
        let client =
            connected.unwrap_or_else(|error| panic!("the browser does not start: {error}; {INSTALL}"));
        Self { runtime, client, _driver: driver }
    }

    /// Waits for an answer.
    fn wait<T>(&self, what: &str, answer: impl Future<Output = Result<T, CmdError>>) -> T {
        let answer = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await });
        let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer in {PATIENCE:?}"));
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sets the size of the page, in CSS pixels of which each is one pixel of a screenshot.
    fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.develop("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Has pages believe that the reader prefers `scheme`: `light` or `dark`.
    fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.develop("Emulation.setEmulatedMedia", &features);
    }

    /// Loads a file; `fragment` is empty or begins with `#`.
    fn load(&self, path: &Path, fragment: &str) {
        // A mere change of the fragment would load nothing.
        self.wait("a blank page", self.client.goto("about:blank"));
        let url = format!("file://{}{fragment}", path.display());
        self.wait(&url, self.client.goto(&url));
    }

    /// Runs the body of a function in the page, and returns its result.
    fn run(&self, script: &str) -> Value {
        self.wait(script, self.client.execute(script, Vec::new()))
    }

    /// Text of the first element that `selector` finds.
    fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).textContent", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Number of elements that `selector` finds and that are shown.
    fn shown(&self, selector: &str) -> u64 {
        let all = format!("[...document.querySelectorAll({})]", json!(selector));
        let count = self.run(&format!("return {all}.filter((e) => e.getClientRects().length > 0).length"));
        count.as_u64().expect("a number of elements")
    }

    /// Clicks, as with a mouse, on the first element that `selector` finds.
    fn click(&self, selector: &str) {
        self.wait(selector, async { self.client.find(Locator::Css(selector)).await?.click().await });
    }

    /// Types into the first element that `selector` finds.
    fn type_into(&self, selector: &str, text: &str) {
        self.wait(selector, async { self.client.find(Locator::Css(selector)).await?.send_keys(text).await });
    }

    /// Presses and releases a key, wherever the focus is.
    fn press(&self, key: Key) {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.wait("a key", self.client.perform_actions(keys));
    }

    /// Waits until the expression `wanted` is true in the page.
    fn expect(&self, wanted: &str) {
        let begin = Instant::now();
        while self.run(&format!("return Boolean({wanted})")) != true {
            assert!(begin.elapsed() < SETTLE, "this does not become true: {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the page shows, as a PNG file.
    fn screenshot(&self) -> Vec<u8> {
        self.wait("a screenshot", self.client.screenshot())
    }

    /// Fails if the browser has complained since it was last asked.
    fn must_not_complain(&self) {
        let log = self.vendor("se/log", json!({"type": "browser"}));
        assert_eq!(log, json!([]), "the browser complains");
    }

    fn develop(&self, command: &str, parameters: &Value) {
        self.vendor("goog/cdp/execute", json!({"cmd": command, "params": parameters}));
    }

    fn vendor(&self, endpoint: &'static str, body: Value) -> Value {
        self.wait(endpoint, self.client.issue_cmd(Vendor(endpoint, body)))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Otherwise the browser outlives a failing test. If the driver is gone, so is the session.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

/// A command that chromedriver has and WebDriver has not.
#[derive(Debug)]
struct Vendor(&'static str, Value);

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

/// A running chromedriver, ended when dropped.
struct Driver {
    child: Child,
    address: String,
}

impl Driver {
    /// Starts chromedriver on a port of its choice, for this machine only.
    fn start() -> Self {
        let mut command = std::process::Command::new("chromedriver");
        let started = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child =
            started.unwrap_or_else(|error| panic!("cannot start chromedriver: {error}; {INSTALL}"));
        let output = BufReader::new(child.stdout.take().expect("the output was asked for"));
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim().trim_end_matches('.').parse::<u16>().ok()
        });
        let address = format!("http://127.0.0.1:{}", port.expect("chromedriver says its port"));
        Self { child, address }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Nothing depends on its end, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
