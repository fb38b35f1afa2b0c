# SPDX-License-Identifier: MIT
"""A phone that others wrote, with a tone for a voice: its call is recorded, and erased when its caller objects."""

import pathlib
import subprocess
import time

import wire
from server import Server
from sipp import free_port

MODULES = next((str(p) for p in (pathlib.Path("/usr/lib/baresip/modules"),
                                 pathlib.Path("/usr/lib/x86_64-linux-gnu/baresip/modules")) if p.exists()), "")

CONFIG = """
sip_listen 127.0.0.1:{port}
rtp_ports 16000-16999
audio_source ausine,400
audio_player aubridge,nil
ausrc_srate 48000
ausrc_channels 2
auplay_srate 48000
auplay_channels 2
module_path {modules}
module g711.so
module ausine.so
module aubridge.so
module auresamp.so
module_app account.so
module_app menu.so
"""


def phone(folder, server, seconds):
    """Calls the server for so long."""
    folder.mkdir()
    port = free_port()
    (folder / "config").write_text(CONFIG.format(port=port, modules=MODULES))
    (folder / "accounts").write_text(f"<sip:phone@127.0.0.1:{port};transport=udp>;regint=0\n")
    (folder / "contacts").write_text("")
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(["baresip", "-f", str(folder), "-t", str(seconds), "-e",
                                 f"/dial sip:agent@127.0.0.1:{server.port}"], stdout=log, stderr=log,
                                stdin=subprocess.DEVNULL, cwd=folder)


def call_id(server):
    """As the server told it; ids of phones are drawn by lot."""
    return server.says(": answered").split(": answered")[0].split(" ", 1)[1]


def test_a_phone_with_a_tone(tmp_path):
    with Server(tmp_path, "--window-ms", "300") as server:
        process = phone(tmp_path / "kept", server, 5)
        name = call_id(server)
        process.wait(30)
        record = server.stored(name)
        heard = server.leg(record, "caller")
        assert len(heard) > 8000 and len(set(heard)) > 20, "a tone is many values"
        assert wire.law_of(server.audio(record)[0]) in (6, 7)
    (tmp_path / "other").mkdir()
    with Server(tmp_path / "other", "--window-ms", "300") as server, server.client() as tool:
        process = phone(tmp_path / "gone", server, 5)
        name = call_id(server)
        time.sleep(2)  # of talking
        assert tool.opt_out(name)["ok"] and process.poll() is None
        process.wait(30)
        server.erased(name)
