//! SVG, as a picture and nothing else.

use std::sync::Arc;
use std::time::Duration;

use onair::av::worker::ipc::{ImageJob, Size, Sprite, SpriteFrame};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::roxmltree::{Document, ParsingOptions};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use super::fitted;
use super::refused::{Refused, refused};

/// Elements, attributes and texts of a file.
const MOST_NODES: u32 = 20_000;
/// The file is looked at so far for a sign of being SVG.
const LOOKED_AT: usize = 4096;
/// Elements that do something else than paint, or need what is not in the file.
const FORBIDDEN: &[(&str, &str)] = &[
    ("script", "scripts are not run"),
    ("foreignObject", "pages in pages are not drawn"),
    ("image", "images in images are not drawn"),
    ("feImage", "images in images are not drawn"),
    ("text", "there are no fonts here: turn text into outlines"),
    ("a", "links are set with the overlay, not in its picture"),
    ("animate", "animations are not played: hand in a GIF, APNG or WebP"),
    ("animateTransform", "animations are not played: hand in a GIF, APNG or WebP"),
    ("animateMotion", "animations are not played: hand in a GIF, APNG or WebP"),
    ("set", "animations are not played: hand in a GIF, APNG or WebP"),
];

/// Whether this may be SVG: text with an `svg` element near its beginning.
pub fn looks_like(file: &[u8]) -> bool {
    let head = &file[..file.len().min(LOOKED_AT)];
    let text = String::from_utf8_lossy(head);
    text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with('<') && text.contains("<svg")
}

/// Draws the file as large as it fits.
pub fn draw(job: &ImageJob) -> Result<Sprite, Refused> {
    let text = std::str::from_utf8(&job.file).map_err(|_| refused("the SVG is not UTF-8"))?;
    let parsing = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, parsing)
        .map_err(|error| refused(format!("the SVG cannot be read: {error}")))?;
    check(&document)?;
    let options = Options { image_href_resolver: no_images(), ..Options::default() };
    let tree = Tree::from_xmltree(&document, &options)
        .map_err(|error| refused(format!("the SVG cannot be read: {error}")))?;
    let (width, height) = (tree.size().width(), tree.size().height());
    // Proportions of sizes below a pixel would be lost.
    let own = Size { width: (width * 64.0).ceil() as u32, height: (height * 64.0).ceil() as u32 };
    let size = fitted(own, job.fit, true);
    let mut pixmap = Pixmap::new(size.width, size.height).ok_or_else(|| refused("the SVG has no size"))?;
    let scale = Transform::from_scale(size.width as f32 / width, size.height as f32 / height);
    resvg::render(&tree, scale, &mut pixmap.as_mut());
    let mut rgba = pixmap.take();
    rgba.as_chunks_mut().0.iter_mut().for_each(demultiply);
    Ok(Sprite { size, frames: vec![SpriteFrame { duration: Duration::ZERO, rgba: rgba.into() }] })
}

/// Refuses what is more than a picture, with the reason.
fn check(document: &Document<'_>) -> Result<(), Refused> {
    for element in document.descendants().filter(|node| node.is_element()) {
        let name = element.tag_name().name();
        if let Some((_, reason)) =
            FORBIDDEN.iter().find(|(forbidden, _)| name.eq_ignore_ascii_case(forbidden))
        {
            return Err(refused(format!("the SVG has <{name}>: {reason}")));
        }
        if name == "style" && element.text().is_some_and(refers_elsewhere) {
            return Err(refused("the SVG's style refers to something outside of the file"));
        }
        for attribute in element.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            if name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("on")) {
                return Err(refused(format!("the SVG has {name}=: scripts are not run")));
            }
            let outside = name == "href" && !value.trim_start().starts_with('#');
            if outside || refers_elsewhere(value) {
                return Err(refused(format!("the SVG's {name}= refers to something outside of the file")));
            }
        }
    }
    Ok(())
}

/// Whether a style or a value has a reference that is not to the file itself.
fn refers_elsewhere(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value.contains("@import")
        || value.split("url(").skip(1).any(|url| !url.trim_start_matches([' ', '\'', '"']).starts_with('#'))
}

fn no_images() -> ImageHrefResolver<'static> {
    ImageHrefResolver {
        resolve_data: Box::new(|_, _: Arc<Vec<u8>>, _| None),
        resolve_string: Box::new(|_, _| None),
    }
}

/// Takes opacity out of a pixel's colours.
fn demultiply(pixel: &mut [u8; 4]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        *colour = match alpha {
            0 => 0,
            // At most 255: no colour is more than its opacity.
            _ => ((u32::from(*colour) * 255 + alpha / 2) / alpha).min(255) as u8,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(svg: &str) -> ImageJob {
        ImageJob {
            file: svg.as_bytes().to_vec().into(),
            fit: Size { width: 8, height: 8 },
            max_pixels: 1 << 20,
            max_frames: 10,
            max_time: Duration::from_secs(5),
        }
    }

    fn svg(inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" \
             xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"4\" height=\"2\">{inside}</svg>"
        )
    }

    #[test]
    fn a_drawing_is_drawn_with_straight_alpha() {
        let file = svg("<rect width=\"2\" height=\"2\" fill=\"#f00\" fill-opacity=\"0.5\"/>");
        assert!(looks_like(file.as_bytes()));
        let sprite = draw(&job(&file)).unwrap();
        assert_eq!((sprite.size.width, sprite.size.height), (8, 4));
        let pixels = sprite.frames[0].rgba.as_chunks::<4>().0;
        assert_eq!((pixels[0], pixels[7]), ([255, 0, 0, 128], [0; 4]));
    }

    #[test]
    fn b38_svg_that_is_more_than_a_picture_is_refused_with_the_reason() {
        for (inside, reason) in [
            ("<script>alert(1)</script>", "scripts"),
            ("<rect onload=\"alert(1)\" width=\"1\" height=\"1\"/>", "scripts"),
            ("<image href=\"http://evil.example/x.png\" width=\"1\" height=\"1\"/>", "images"),
            ("<image xlink:href=\"file:///etc/passwd\" width=\"1\" height=\"1\"/>", "images"),
            ("<use xlink:href=\"http://evil.example/x.svg#a\"/>", "outside"),
            ("<style>@import 'http://evil.example/x.css';</style>", "outside"),
            ("<rect fill=\"url(http://evil.example/#p)\" width=\"1\" height=\"1\"/>", "outside"),
            ("<foreignObject/>", "pages"),
            ("<text>hello</text>", "outlines"),
            ("<animate/>", "animations"),
        ] {
            let error = draw(&job(&svg(inside))).unwrap_err().to_string();
            assert!(error.contains(reason), "{inside}: {error}");
        }
    }

    #[test]
    fn b38_entities_and_masses_of_nodes_are_refused() {
        let bomb = "<!DOCTYPE svg [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>\
                    <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\">&b;</svg>";
        assert!(draw(&job(bomb)).is_err());
        let masses = svg(&"<g/>".repeat(MOST_NODES as usize));
        assert!(draw(&job(&masses)).is_err());
        assert!(draw(&job("<svg")).is_err());
    }
}
