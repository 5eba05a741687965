"""The picture beside a link: its texts can be read, and what is too long is cut."""

from dataclasses import dataclass
from io import BytesIO
from time import process_time

import pytest
from PIL import Image, ImageFont

from control_plane.analysis.charts.preview_picture import (
    PICTURE_SIZE,
    RIGHT_END,
    Drawn,
    Picture,
    PictureText,
    _cut,
    drawn_marks,
    png_of,
)
from control_plane.analysis.run_labels import RunLabel
from control_plane.pages.sharing import PICTURE_FONTS
from control_plane.settings import Settings

FONTS = [(Settings().static_dir / "vendor" / name).read_bytes() for name in PICTURE_FONTS]


def picture_of(title: str, label: str = "", note: str = "", outcome: str = "valid") -> Image.Image:
    labels = (PictureText(label, RIGHT_END, 400, "#000000"),) if label else ()
    told = Picture(title, note, (outcome,), Drawn((), labels, ()))
    return Image.open(BytesIO(png_of(told, *FONTS))).convert("RGB")


def inked(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
    """Whether anything but paper stands there."""
    return image.crop(box).getextrema() != ((255, 255),) * 3


@pytest.mark.parametrize("font", FONTS, ids=PICTURE_FONTS)
def test_the_fonts_have_what_the_product_writes(font: bytes) -> None:
    opened = ImageFont.truetype(BytesIO(font), 40)
    missing = bytes(opened.getmask("\ue000"))
    for letter in "äöüßéñøåłšŻЖλ×÷±µ–−…·“”’≤%":
        assert bytes(opened.getmask(letter)) not in {missing, b""}, letter


def test_a_title_stands_on_three_lines_at_most() -> None:
    width, height = PICTURE_SIZE
    short, long = picture_of("Größe × 2"), picture_of("Preise bleiben gleich, " * 40)
    assert short.size == (width, height)
    assert inked(short, (0, 70, width, 125))
    assert not inked(short, (0, 130, width, height))
    assert inked(long, (0, 175, width, 225))
    assert not inked(long, (0, 230, width, height))
    assert not inked(long, (width - 59, 70, width, height))


def test_what_the_fonts_have_no_letters_of_is_three_dots() -> None:
    dots = picture_of("… and …", "…", "… p50").tobytes()
    assert picture_of("商品 and 一覧 表", "商品一覧", "商品 p50").tobytes() == dots
    assert picture_of("\ue000 and 商", "🚀 \x07", "商 p50").tobytes() == dots
    assert picture_of("e\u0301").tobytes() == picture_of("é").tobytes()


def test_a_line_break_is_a_space() -> None:
    one_line = picture_of("a b", "c d", "e f").tobytes()
    assert picture_of("a\nb", "c\r\nd", "e\n\tf").tobytes() == one_line


@pytest.mark.parametrize("text", ["x" * 20_000, "word " * 4_000, "商" * 20_000])
def test_a_text_of_any_length_takes_no_time(text: str) -> None:
    """One cut letter by letter takes a minute."""
    begun = process_time()
    image = picture_of(text, text, text)
    assert process_time() - begun < 2
    assert not inked(image, (PICTURE_SIZE[0] - 10, 0, *PICTURE_SIZE))


@pytest.mark.parametrize("room", range(0, 300, 7))
def test_as_much_is_kept_as_fits(room: int) -> None:
    font = ImageFont.truetype(BytesIO(FONTS[0]), 23)
    text = "Preise bleiben gleich"
    cut = _cut(text, font, room)
    fitting = [f"{text[:end]}…" for end in range(len(text) + 1)]
    longest = [each for each in [*fitting, text] if font.getlength(each) <= room]
    assert cut.replace(" …", "…") == (longest or ["…"])[-1].replace(" …", "…")


def test_a_label_that_is_too_long_ends_before_the_edge() -> None:
    image = picture_of("", "a name that is longer than its place beside the figure")
    assert inked(image, (int(RIGHT_END), 380, 1190, 420))
    assert not inked(image, (1190, 380, 1200, 420))


def test_a_doubt_is_amber_and_what_is_invalid_is_red() -> None:
    shades = []
    for outcome in ("valid", "suspect", "invalid"):
        note = picture_of("", note="worth", outcome=outcome).crop((50, 30, 400, 60))
        red, green, blue = (list(channel.tobytes()) for channel in note.split())
        shades.append(
            [
                max(first - second for first, second in zip(high, low, strict=True))
                for high, low in ((red, green), (green, blue))
            ]
        )
    (valid, _), (suspect, towards_yellow), (invalid, towards_pink) = shades
    assert valid < 30 < suspect < 100 < invalid
    assert towards_pink < 40 < 60 < towards_yellow


@dataclass(frozen=True)
class Mark:
    label: RunLabel
    at: float | None
    low: float
    high: float
    text: str = "×2"
    interval: str = "[1.9, 2.1]"
    decided: bool = True


def test_a_picture_of_ratios_has_their_scale_without_one_text_upon_another() -> None:
    label = RunLabel(0, "0000000000", "A", "async", "circle", hollow=False)
    drawn = drawn_marks([Mark(label, 75, 70, 80)], [(25, "÷2"), (75, "×2")])
    assert [text.text for text in drawn.columns] == ["÷2", "×2", "same", "worse", "better"]
    tick = next(text for text in drawn.columns if text.text == "×2")
    assert tick.x == drawn.dots[0].at[0]
    assert any(line.points[0][0] == tick.x == line.points[1][0] for line in drawn.lines)
    assert len({(text.x, text.y) for text in drawn.columns}) == 5
    assert all(text.y < PICTURE_SIZE[1] - 15 for text in drawn.columns)
