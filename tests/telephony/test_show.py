# SPDX-License-Identifier: MIT
"""A caller says it, an ear hears it, and the recording is gone."""

from show import PHRASE, Show


def test_spoken_words_stop_the_recording(tmp_path):
    show = Show(tmp_path)
    told, server = show.run()
    assert told.get("heard", "").strip() == PHRASE, told
    assert told["samples"] >= show.end - 8000 // 2, "heard before it was said"
    assert told["code"] == "RCO_OK" and told["status"] in ("durable", "erased", "verified")
    assert show.record["opt_out"] and not server.audio(show.record)
    assert not server.holds(show.said[4000:4064])
