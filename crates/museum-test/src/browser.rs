//! A headless Chromium, driven through chromedriver by the WebDriver protocol.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ureq::Agent;

use crate::driver::Driver;

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

/// Keys by their WebDriver names.
pub mod key {
    /// Arrow to the left.
    pub const LEFT: &str = "\u{E012}";
    /// Arrow to the right.
    pub const RIGHT: &str = "\u{E014}";
    /// Home.
    pub const HOME: &str = "\u{E011}";
    /// End.
    pub const END: &str = "\u{E010}";
}

/// A window of the browser.
pub struct Browser {
    agent: Agent,
    session: String,
    /// Its profile, new and empty.
    _profile: TempDir,
}

impl Browser {
    /// Opens a window.
    ///
    /// # Errors
    /// The browser does not start.
    pub fn open(driver: &Driver) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let config =
            Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).proxy(None);
        let agent = Agent::new_with_config(config.build());
        let base = format!("http://127.0.0.1:{}/session", driver.port);
        let answer = call(&agent, &base, Some(&wanted)).context("the browser does not start")?;
        let id = answer["sessionId"].as_str().context("a session has an id")?;
        Ok(Self { agent, session: format!("{base}/{id}"), _profile: profile })
    }

    /// Sets the size of the page, in CSS pixels of which each is one pixel of a screenshot.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.develop("Emulation.setDeviceMetricsOverride", &size)
    }

    /// Has pages believe that the reader prefers `scheme`: `light` or `dark`.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn prefer(&self, scheme: &str) -> Result<()> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.develop("Emulation.setEmulatedMedia", &features)
    }

    /// Loads a file; `fragment` is empty or begins with `#`.
    ///
    /// # Errors
    /// It does not load.
    pub fn load(&self, path: &Path, fragment: &str) -> Result<()> {
        // A mere change of the fragment would load nothing.
        self.post("url", &json!({"url": "about:blank"}))?;
        self.post("url", &json!({"url": format!("file://{}{fragment}", path.display())}))?;
        Ok(())
    }

    /// Runs the body of a function in the page, and returns its result.
    ///
    /// # Errors
    /// It throws.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", &json!({"script": script, "args": []}))
            .with_context(|| format!("in the page: {script}"))
    }

    /// Text of the first element that `selector` finds.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, selector: &str) -> Result<String> {
        let script = format!("return document.querySelector({}).textContent", json!(selector));
        Ok(self.run(&script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Number of elements that `selector` finds and that are shown.
    ///
    /// # Errors
    /// The page cannot be asked.
    pub fn shown(&self, selector: &str) -> Result<u64> {
        let all = format!("[...document.querySelectorAll({})]", json!(selector));
        let script = format!("return {all}.filter((e) => e.getClientRects().length > 0).length");
        self.run(&script)?.as_u64().context("a number of elements")
    }

    /// Clicks, as with a mouse, on the first element that `selector` finds.
    ///
    /// # Errors
    /// There is none, or something lies over it.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into the first element that `selector` finds.
    ///
    /// # Errors
    /// There is none, or it takes no text.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("element/{element}/value"), &json!({"text": text})).map(drop)
    }

    /// Presses and releases a key, wherever the focus is.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn press(&self, key: &str) -> Result<()> {
        let moves = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let keyboard = json!({"actions": [{"type": "key", "id": "keyboard", "actions": moves}]});
        self.post("actions", &keyboard).map(drop)
    }

    /// Waits until the expression `wanted` is true in the page.
    ///
    /// # Errors
    /// It does not become true.
    pub fn expect(&self, wanted: &str) -> Result<()> {
        let begin = Instant::now();
        while self.run(&format!("return Boolean({wanted})"))? != json!(true) {
            ensure!(begin.elapsed() < SETTLE, "this does not become true: {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What the page shows, as a PNG file.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn screenshot(&self) -> Result<Vec<u8>> {
        let answer = self.get("screenshot")?;
        decode(answer.as_str().context("a picture in base 64")?)
    }

    /// Fails if the browser has complained since it was last asked.
    ///
    /// # Errors
    /// What it complained about.
    pub fn content(&self) -> Result<()> {
        let log = self.post("se/log", &json!({"type": "browser"}))?;
        let entries = log.as_array().context("a list of complaints")?;
        ensure!(entries.is_empty(), "the browser complains: {log}");
        Ok(())
    }

    fn find(&self, selector: &str) -> Result<String> {
        let how = json!({"using": "css selector", "value": selector});
        let answer = self.post("element", &how).with_context(|| format!("nothing is {selector}"))?;
        let id = answer.as_object().and_then(|element| element.values().next()).and_then(Value::as_str);
        Ok(id.context("an element has an id")?.to_owned())
    }

    fn develop(&self, command: &str, parameters: &Value) -> Result<()> {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).map(drop)
    }

    fn post(&self, what: &str, body: &Value) -> Result<Value> {
        call(&self.agent, &format!("{}/{what}", self.session), Some(body))
    }

    fn get(&self, what: &str) -> Result<Value> {
        call(&self.agent, &format!("{}/{what}", self.session), None)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser anyway when it is ended.
        let _ = self.agent.delete(&self.session).call();
    }
}

/// Makes a request and returns the value in its answer.
fn call(agent: &Agent, url: &str, body: Option<&Value>) -> Result<Value> {
    let mut response = match body {
        Some(body) => agent.post(url).send_json(body)?,
        None => agent.get(url).call()?,
    };
    let status = response.status();
    let limit = 64 << 20;
    let answer: Value = response.body_mut().with_config().limit(limit).read_json()?;
    let value = answer["value"].clone();
    ensure!(status.is_success(), "{}: {}", value["error"], value["message"]);
    Ok(value)
}

/// Decodes base 64.
fn decode(text: &str) -> Result<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let digit = ALPHABET.iter().position(|&known| known == byte).context("not base 64")?;
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base_64_is_decoded_whatever_its_padding() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")]
        {
            assert_eq!(decode(text).expect(text), bytes.as_bytes());
        }
        assert!(decode("Zm9%").is_err());
    }
}
