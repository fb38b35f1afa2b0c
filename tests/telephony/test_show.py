# SPDX-License-Identifier: MIT
"""A caller says it, an ear hears it, and the recording is gone."""

import xml.etree.ElementTree as xml

from show import PHRASE, Show, picture, steps_of


def test_spoken_words_stop_the_recording(tmp_path):
    show = Show(tmp_path)
    told, server = show.run()
    assert told.get("heard", "").strip() == PHRASE, told
    assert told["samples"] >= show.end - 8000 // 2, "heard before it was said"
    assert told["code"] == "RCO_OK" and told["status"] in ("durable", "erased", "verified")
    assert show.record["opt_out"] and not server.audio(show.record)
    assert not server.holds(show.said[4000:4064])

    steps = steps_of(show, told)
    picture(show.samples, show.end, steps, tmp_path / "show.svg")
    drawn = xml.parse(tmp_path / "show.svg").getroot()
    at = {line.get("id"): float(line.get("x1")) for line in drawn.iter("{http://www.w3.org/2000/svg}line")}
    assert 24 < at["said"] <= at["stop"] < 976, "the stop is where it was"
    words = " ".join(drawn.itertext())
    assert all(text in words for _, text in steps) and "0 s" in words and "5 s" in words
