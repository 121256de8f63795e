# Copyright (c) mmreid contributors. All rights reserved.
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from mmreid.visualization import fonts
from mmreid.visualization.captions import write_caption


def written(text, width=100):
    image = np.full((20, width, 3), 255, np.uint8)
    write_caption(image, text, (4, 14))
    return image


@pytest.mark.parametrize('text', ['anna', 'Jürgen', 'Ольга', 'Ω7'])
def test_words_of_other_alphabets_are_drawn_and_differ(text):
    image = written(text)
    assert (image < 128).any() and not np.array_equal(image, written('?' * len(text)))
    assert not np.array_equal(image, written(text[:-1])) and (image[:, :2] == 255).all()


@pytest.mark.parametrize('letter', ['w', 'ж'])
def test_long_words_end_in_dots_inside_the_image(letter):
    image, longer = written(letter * 40), written(letter * 400)
    assert np.array_equal(image, longer) and (image[:, 60:] < 128).any() and (image[:, -1] == 255).all()
    assert (written('', 3) == 255).all()


def make_font(path, letters):
    """Writes a font in which all letters are black boxes."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [f'letter{number}' for number in range(len(letters))]
    order = ['.notdef', *names]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names, strict=True)))
    builder.setupGlyf(dict.fromkeys(order, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(dict(familyName='Boxes', styleName='Regular'))
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def system_fonts(monkeypatch):
    """Lets the system have the given fonts, and forget what was warned of."""
    monkeypatch.setattr(fonts, '_warned', False)

    def have(*paths):
        fonts._best_font.cache_clear()
        monkeypatch.setattr(fonts, '_system_fonts', lambda: paths)

    yield have
    fonts._best_font.cache_clear()


def test_a_font_of_the_system_writes_what_dejavu_lacks(system_fonts, tmp_path, mmreid_log):
    other, boxes = make_font(tmp_path / 'a.ttf', 'pid 0'), make_font(tmp_path / 'b.ttf', 'pid 王小')
    (tmp_path / 'broken.ttf').write_bytes(b'no font')
    system_fonts(str(tmp_path / 'broken.ttf'), other, boxes)
    assert fonts.font_for('pid 王小') == ('pid 王小', boxes)
    image = written('王小')
    assert (image[10:14, 6:12] == 30).all() and np.array_equal(image, written('小王'))
    assert fonts.font_for('Ольга')[1].endswith('DejaVuSans.ttf') and mmreid_log.text == ''


def test_letters_that_no_font_has_are_codes_and_warned_of_once(system_fonts, tmp_path, mmreid_log):
    system_fonts(make_font(tmp_path / 'a.ttf', 'pid 小'))
    assert fonts.font_for('pid 王小') == ('pid \\u738b小', str(tmp_path / 'a.ttf'))
    assert fonts.font_for('林')[0] == '\\u6797'
    assert np.array_equal(written('林Ω', 200), written('\\u6797Ω', 200))
    assert fonts.font_for('小\udcff\n')[0] == '小\\udcff\\n'  # a file name that is no text
    assert mmreid_log.text.count('no font') == 1
    assert '王 (\\u738b)' in mmreid_log.text and 'fonts-noto-cjk' in mmreid_log.text and '小' not in mmreid_log.text


@pytest.mark.parametrize(
    ('letter', 'package'), [('か', 'fonts-noto-cjk'), ('한', 'fonts-noto-cjk'), ('ก', 'fonts-noto-core')]
)
def test_the_package_depends_on_the_letters(system_fonts, letter, package, mmreid_log):
    system_fonts()
    fonts.font_for(letter)
    assert package in mmreid_log.text


def test_fonts_for_chinese_come_first(monkeypatch):
    from matplotlib import font_manager

    order = ('/f/NotoSansCJK-Regular.ttc', '/f/NotoSansCJK-Bold.ttc', '/f/wqy-zenhei.ttc', '/f/a.ttf')
    monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: list(order[::-1]))
    assert fonts._system_fonts.__wrapped__() == order
