"""What counts as the same output, and what does not."""

import base64
import io
import sys

import pytest
from PIL import Image, ImageDraw

from atoll.engines.local.commands import INSIDE

sys.path.append(str(INSIDE))
from comparing import compare


def printed(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def result(**data):
    data = {kind.replace("__", "/").replace("_svg", "+svg"): value for kind, value in data.items()}
    return {"output_type": "execute_result", "data": data}


def plain(text):
    return [result(text__plain=text)]


def png(draw=lambda _: None, size=(400, 300), mode="RGB", colour="white"):
    image = Image.new(mode, size, colour)
    draw(ImageDraw.Draw(image))
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Axes at 0x7f3a1c2b>", "<Axes at 0x7fffe1a0>"),
        ("0.1234567890", "0.1234567891"),
        ("array([1., 2.])", "array([ 1.,  2.])"),
        ("took 3.2 s", "took 0.4 s"),
        ("2017-03-01 12:00:01 start", "2026-11-22 01:02:03 start"),
        ("100 loops, best of 3: 5 ms per loop", "1000 loops, best of 5: 2 ms per loop"),
        ("12.5 µs ± 3 ns per loop (mean ± std. dev.)", "1 ms ± 1 µs per loop (mean ± std. dev.)"),
        ("Wall time: 2min 3s", "Wall time: 4 ms"),
        ("/home/ada/x.csv", "/home/jovyan/x.csv"),
        ("/tmp/tmpabc/x", "/tmp/tmpdef/x"),
        ("<ipython-input-3-abcdef0>", "/tmp/ipykernel_12/3456.py"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("10%\r50%\r100%", "100%"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_no_two_runs_have_in_common_is_left_aside(one, other):
    assert compare(plain(one), plain(other)) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.12345", "0.12346"),
        ("3", "4"),
        ("3", "-3"),
        ("1 2 3", "1 2"),
        ("True", "False"),
        ("v1", "v2"),
        ("1e5", "1e6"),
        ("nan", "1.0"),
    ],
)
def test_another_result_is_another_result(one, other):
    assert compare(plain(one), plain(other)) == "The result differs."
    assert compare([printed(one)], [printed(other)]) == "The printed text differs."


def test_what_is_printed_in_pieces_is_one_text_and_standard_error_is_not_compared():
    stored = [printed("a\nb\n"), printed("Warning: old", "stderr")]
    assert compare(stored, [printed("a\n"), printed("new!", "stderr"), printed("b\n")]) == ""


def test_a_table_is_compared_by_its_words():
    one = "<style>td {color: red}</style><table><tr><td>1.0</td><td>x</td></tr></table>"
    other = "<div>\n<table class='dataframe'><tr><td>1.0000000001</td><td>x</td></tr></table></div>"
    assert compare([result(text__html=one)], [result(text__html=other)]) == ""
    other = other.replace("x<", "y<")
    assert compare([result(text__html=one)], [result(text__html=other)]) == "The table differs."


def test_what_is_shown_in_several_forms_is_compared_in_one_that_both_have():
    one = [result(text__html="<b>1</b>", text__plain="1")]
    assert compare(one, plain("1")) == compare(plain("1"), one) == ""
    assert compare(one, plain("2")) == "The result differs."


def test_something_missing_or_new_or_of_another_kind_is_said():
    assert compare(plain("1"), []) == "The result is missing."
    assert (
        compare(plain("1"), [*plain("1"), printed("x")]) == "The printed text was not there before."
    )
    assert compare(plain("1"), [printed("1")]) == "The printed text is there instead of the result."
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no 1", "traceback": []}
    assert compare([error], [{**error, "evalue": "no 2"}]) == ""
    assert compare([error], [{**error, "ename": "KeyError"}]) == "The error differs."


def test_what_only_a_browser_can_show_is_not_compared():
    widget = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
        "text/plain": "Slider()",
    }
    stored = [{"output_type": "display_data", "data": widget}]
    assert compare(stored, []) == ""
    assert compare([result(text__html="<script>draw(1)</script>")], []) == ""


def line(draw):
    draw.line((10, 10, 390, 290), fill="blue", width=6)


def test_images_that_look_the_same_are_the_same():
    one = [result(image__png=png(line), text__plain="<Figure size 400x300>")]
    faint = [result(image__png=png(lambda draw: (line(draw), draw.point((5, 5), "red"))))]
    larger = [
        result(image__png=png(lambda draw: draw.line((20, 20, 780, 580), "blue", 12), (800, 600)))
    ]
    assert compare(one, faint) == compare(one, larger) == ""
    clear = [result(image__png=png(line, mode="RGBA", colour=(0, 0, 0, 0)))]
    assert compare(one, clear) == ""  # what is clear is white on a page


@pytest.mark.parametrize(
    "other",
    [
        png(),
        png(lambda draw: draw.line((10, 290, 390, 10), fill="blue", width=6)),
        png(lambda draw: draw.rectangle((0, 0, 200, 300), fill="black")),
        png(line, (300, 400)),
        base64.b64encode(b"no image").decode(),
        "!",
        "",
    ],
)
def test_images_that_do_not_are_not(other):
    assert (
        compare([result(image__png=png(line))], [result(image__png=other)]) == "The image differs."
    )


def test_a_drawing_is_compared_without_the_names_of_its_parts():
    one = [
        {
            "output_type": "display_data",
            "data": {"image/svg+xml": '<svg><g id="p1a2" d="M1 2"/></svg>'},
        }
    ]
    other = [
        {
            "output_type": "display_data",
            "data": {"image/svg+xml": '<svg><g id="p9f0" d="M1 2"/></svg>'},
        }
    ]
    assert compare(one, other) == ""
    assert compare(one, [{**one[0], "data": {"image/svg+xml": "<svg/>"}}]) == "The drawing differs."


@pytest.mark.parametrize(
    "odd",
    [
        [{}],
        [{"output_type": "stream"}],
        [{"output_type": "stream", "name": "stdout", "text": ["a", 1, None]}],
        [{"output_type": "execute_result", "data": None}],
        [{"output_type": "execute_result", "data": {"text/plain": None, "image/png": 5}}],
        [{"output_type": "display_data", "data": {"text/html": "<table><<<&&&;" * 1000}}],
    ],
)
def test_outputs_of_any_shape_are_compared(odd):
    assert compare(odd, odd) == ""
    compare(odd, plain("1"))


def test_numbers_too_large_for_a_number_are_compared():
    assert compare(plain("9" * 5000), plain("9" * 5000 + "1")) in {"", "The result differs."}
    assert compare(plain("1e999999"), plain("2")) == "The result differs."
