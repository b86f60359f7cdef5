//! Starts chromedriver, and finds out its address.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// How to get what is missing.
const INSTALL: &str = "`apt-get install -y chromium chromium-driver` installs it; ./test does so as root";

/// A running chromedriver, ended when dropped.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    /// Its address.
    pub port: u16,
}

impl Driver {
    /// Starts chromedriver on a port of its choice, for this machine only.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start chromedriver: {INSTALL}"))?;
        let output = child.stdout.take().context("the output was asked for")?;
        let mut driver = Self { child, port: 0 };
        for line in BufReader::new(output).lines() {
            if let Some(port) = port(&line?) {
                driver.port = port;
                return Ok(driver);
            }
        }
        anyhow::bail!("chromedriver ended before it was ready")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Nothing depends on its end, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the port out of what chromedriver says.
fn port(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim().trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::port;

    #[test]
    fn the_port_is_read_from_the_line_that_names_it() {
        assert_eq!(port("ChromeDriver was started successfully on port 40123."), Some(40123));
        assert_eq!(port("Starting ChromeDriver 1.2 on port 0"), None);
    }
}
