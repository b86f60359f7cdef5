//! Screenshots: they have the size of the window, and something is on them.

use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::browser::Browser;

/// Colours of which a page of text has more, because its letters are smoothed.
const COLOURS: usize = 60;
/// Largest share, in percent, of a picture's most frequent colour.
const MOST: usize = 97;

struct Shot {
    name: &'static str,
    file: &'static str,
    fragment: &'static str,
    scheme: &'static str,
    size: (u32, u32),
}

const KNOWN: &str = "linux-bafb056c-sparc64-trim.html";

const SHOTS: [Shot; 7] = [
    Shot { name: "index-light", file: "index.html", fragment: "", scheme: "light", size: (1280, 800) },
    Shot { name: "index-phone", file: "index.html", fragment: "", scheme: "dark", size: (390, 844) },
    Shot { name: "page-light", file: KNOWN, fragment: "", scheme: "light", size: (1280, 800) },
    Shot { name: "steps-light", file: KNOWN, fragment: "#step=12", scheme: "light", size: (1280, 800) },
    Shot { name: "steps-dark", file: KNOWN, fragment: "#step=12", scheme: "dark", size: (1280, 800) },
    Shot { name: "steps-phone", file: KNOWN, fragment: "#step=12", scheme: "light", size: (390, 844) },
    Shot { name: "code-dark", file: KNOWN, fragment: "#code", scheme: "dark", size: (1280, 800) },
];

/// Takes the screenshots, and puts them into `folder` if there is one.
pub fn check(browser: &Browser, museum: &Path, folder: Option<&Path>) -> Result<()> {
    for shot in &SHOTS {
        browser.resize(shot.size.0, shot.size.1)?;
        browser.prefer(shot.scheme)?;
        browser.load(&museum.join(shot.file), shot.fragment)?;
        let file = browser.screenshot()?;
        if let Some(folder) = folder {
            fs::write(folder.join(format!("{}.png", shot.name)), &file)?;
        }
        let picture = Picture::read(&file).with_context(|| format!("screenshot {}", shot.name))?;
        picture.check(shot).with_context(|| format!("screenshot {}", shot.name))?;
    }
    println!("{} screenshots show something, light and dark, on a laptop and on a phone", SHOTS.len());
    Ok(())
}

/// Size of a picture, and how often it has each colour.
struct Picture {
    size: (u32, u32),
    colours: HashMap<[u8; 3], usize>,
}

impl Picture {
    fn read(file: &[u8]) -> Result<Self> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().context("a picture that fits into memory")?];
        let info = reader.next_frame(&mut pixels)?;
        let samples = info.color_type.samples();
        ensure!(samples >= 3, "a picture in colour");
        let mut colours = HashMap::new();
        for pixel in pixels[..info.buffer_size()].chunks_exact(samples) {
            *colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
        }
        Ok(Self { size: (info.width, info.height), colours })
    }

    fn check(&self, shot: &Shot) -> Result<()> {
        ensure!(self.size == shot.size, "{:?} instead of {:?}", self.size, shot.size);
        ensure!(self.colours.len() >= COLOURS, "{} colours: it is blank", self.colours.len());
        let (ground, count) = self.colours.iter().max_by_key(|(_, count)| **count).context("no pixel")?;
        let total: usize = self.colours.values().sum();
        ensure!(count * 100 <= total * MOST, "{ground:?} is nearly all there is");
        let brightness: u32 = ground.iter().map(|&part| u32::from(part)).sum::<u32>() / 3;
        let dark = shot.scheme == "dark";
        ensure!((brightness < 128) == dark, "{} was asked for, the ground is {ground:?}", shot.scheme);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Picture, SHOTS};

    fn encoded(width: u32, height: u32, colour: impl Fn(usize) -> [u8; 3]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..(width * height) as usize).flat_map(colour).collect();
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("a picture");
        file
    }

    #[test]
    fn a_blank_picture_and_one_of_another_size_are_refused() {
        let (width, height) = SHOTS[0].size;
        let blank = Picture::read(&encoded(width, height, |_| [250; 3])).expect("a picture");
        assert!(blank.check(&SHOTS[0]).is_err_and(|error| error.to_string().contains("blank")));
        let varied = |at: usize| if at % 2 == 0 { [250; 3] } else { [(at % 200) as u8; 3] };
        let page = Picture::read(&encoded(width, height, varied)).expect("a picture");
        assert!(page.check(&SHOTS[0]).is_ok());
        let small = Picture::read(&encoded(8, 8, varied)).expect("a picture");
        assert!(small.check(&SHOTS[0]).is_err());
    }
}
