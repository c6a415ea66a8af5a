"""What PostgreSQL reads in the words that are sent to it."""

import pytest


@pytest.mark.parametrize(
    ("narrative", "words", "expected"),
    [
        ([], [], ""),
        (["bone"], [], "'bone':3A"),
        ([], ["bone"], "'bone':5"),  # two positions lie before each part
        (["bone", "liver"], ["bone"], "'bone':3A,7 'liver':4A"),
        (["é", "z", "ß"], [], "'z':4A 'ß':5A 'é':3A"),
        (["x"] * 300, [], f"'x':{','.join(f'{at}A' for at in range(3, 258))}"),  # 255 positions of a word
        (["a"] * 16_400, ["b"], f"'a':{','.join(f'{at}A' for at in range(3, 258))} 'b':16383"),  # the last there is
    ],
)
async def test_words(pool, narrative, words, expected):
    async with pool.connection() as driver:
        assert await driver.fetchval("SELECT $1::tsvector::text", (narrative, words)) == expected


async def test_what_is_too_much_is_left_out(pool):
    words = [f"{number:0200}" for number in range(9000)]
    async with pool.connection() as driver:
        assert 4000 < await driver.fetchval("SELECT length($1::tsvector)", ([], words)) < 9000
