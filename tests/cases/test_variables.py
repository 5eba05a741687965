"""More of R07, R10, R11 and R13: what is secret, what is read, and what is printed last."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.secrets import hide
from control_plane.domain.spec import Target
from control_plane.targets.application import Application, command_target
from control_plane.targets.cores_and_run_environment import unasked_settings
from control_plane.targets.environment_variables import (
    configured_variables,
    files_of_command,
    left_out,
    read_unasked,
    target_environment,
    unread_lines,
    unread_settings,
    variable_secrets,
)
from control_plane.targets.launch import LaunchContext, start_application


@pytest.mark.parametrize(
    ("name", "value", "printed", "shown"),
    [
        ("DJANGO_SECRET_KEY", "django-insecure-1", "key django-insecure-1", "key [{name}]"),
        ("stripeKey", "sk_live_12345", "sk_live_12345", "[{name}]"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/srv/key.json", "no /srv/key.json", "no /srv/key.json"),
        ("URL", "redis://:longpassword@h/0", "longpassword", "[password of URL]"),
        ("URL", "postgres://u:p%40ss:word@h/db", "no p@ss:word", "no [password 2 of URL]"),
        ("DSN", "host=h password=longpassword user=u", "longpassword, u", "[password of DSN], u"),
        ("REPO", "https://ghp_0123456789abcdef@host/x", "ghp_0123456789abcdef",
         "[password of REPO]"),
        ("SLACK_WEBHOOK_URL", "https://h/T00/B00", "to https://h/T00/B00", "to [{name}]"),
        ("PASSWORD_FILE", "/run/secrets/db", "no /run/secrets/db", "no /run/secrets/db"),
        ("AUTH_USER_MODEL", "shop.User", "shop.User", "shop.User"),
        ("CACHE_KEY_PREFIX", "shop.settings", "shop.settings", "shop.settings"),
        ("TOKENIZERS_PARALLELISM", "falsehood", "falsehood", "falsehood"),
        ("APP_URL", "http://localhost:8000/a@b", "localhost:8000/a@b", "localhost:8000/a@b"),
    ],
)  # fmt: skip
def test_secret_is_what_its_name_or_a_url_says(
    name: str, value: str, printed: str, shown: str
) -> None:
    assert hide(printed, variable_secrets({name: value})) == shown.replace("{name}", name)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"A=${ROOT_OF_ALL}/x", "/root/x"),
        (b"A=${NOWHERE:-default}", "default"),
        (b"A='${ROOT_OF_ALL}'\r\n", "/root"),
        (b'\xef\xbb\xbfexport A="two\nlines" # comment', "two\nlines"),
        (b"B=b\nA=$B", "$B"),
        (b"A=x#y", "x#y"),
    ],
)
def test_a_file_of_variables_is_read_as_python_dotenv_reads_it(
    tmp_path: Path, content: bytes, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOT_OF_ALL", "/root")
    assert configured_variables(shop(tmp_path, content))["A"] == value


def test_what_is_wrong_in_a_file_of_variables_is_told(tmp_path: Path) -> None:
    assert [*unread_lines(shop(tmp_path, b"A=a\nnot so\n'x\nB=b"))] == [2, 3]
    with pytest.raises(TargetFailed, match="is not UTF-8"):
        configured_variables(shop(tmp_path, "A=a".encode("utf-16")))
    with pytest.raises(TargetFailed, match="has a NUL byte"):
        configured_variables(shop(tmp_path, b"A=\0"))


def shop(folder: Path, content: bytes) -> Application:
    path = folder / "shop.env"
    path.write_bytes(content)
    return Application("shop:app", folder, name="shop", env_file=path)


@pytest.mark.parametrize(
    ("server", "away", "named"),
    [
        ("uvicorn", ["UVICORN_WORKERS", "WEB_CONCURRENCY"], ["UVICORN_LIMIT_MAX_REQUESTS"]),
        ("gunicorn", ["WEB_CONCURRENCY"], ["GUNICORN_CMD_ARGS", "FORWARDED_ALLOW_IPS"]),
        ("granian", ["GRANIAN_WORKERS"], ["GRANIAN_HTTP", "PYTHONOPTIMIZE"]),
        ("hypercorn", [], ["PYTHONASYNCIODEBUG", "MALLOC_ARENA_MAX"]),
        ("command", [], ["UVICORN_WORKERS", "WEB_CONCURRENCY", "GRANIAN_HTTP", "NODE_OPTIONS"]),
    ],
)
def test_what_a_server_reads_is_left_out_or_named(
    server: str, away: list[str], named: list[str]
) -> None:
    names = [*away, *named, "DATABASE_URL", "PORT"]
    assert [*left_out(server, names)] == away
    assert [*read_unasked(server, names)] == named


def test_a_target_gets_only_what_its_fields_leave_open(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 9")
    shop = Application(
        "shop:app",
        tmp_path,
        name="shop",
        environment={"WEB_CONCURRENCY": "9", "SENDFILE": "no", "PYTHONUNBUFFERED": ""},
    )
    target = Target("shop", server="gunicorn", worker="asgi", http=None)
    variables = target_environment(shop, target, "i", "l")
    assert "WEB_CONCURRENCY" not in variables
    assert (variables["SENDFILE"], variables["PYTHONUNBUFFERED"]) == ("no", "")
    told = dict(unread_settings(shop, target))
    assert [text.split(" is ")[0] for text in told] == [
        "The variable WEB_CONCURRENCY", "gunicorn.conf.py",
    ]  # fmt: skip
    settings = unasked_settings(shop, target)["server_settings"]
    assert settings == {"SENDFILE": "no", "PYTHONUNBUFFERED": ""}
    own = replace(shop, app="", command=("gunicorn", "-b", "{host}:{port}"))
    named = unasked_settings(own, command_target("shop"))["server_settings"]
    assert {*named} == {*settings, "WEB_CONCURRENCY", "gunicorn.conf.py"}


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("gunicorn app:app -b {host}:{port}", ["gunicorn.conf.py"]),
        ("python -m gunicorn app:app --config=prod.py", ["prod.py"]),
        ("uwsgi --ini uwsgi.ini", ["uwsgi.ini"]),
        ("./serve.sh {host} {port}", ["gunicorn.conf.py"]),
        ("uvicorn app:app --port {port}", []),
        ("/opt/bin/gunicorn -c prod.py app:app", ["prod.py"]),
    ],
)
def test_the_files_of_a_command_are_known(command: str, files: list[str]) -> None:
    found = [name for name in files_of_command(command.split()) if name.endswith((".py", ".ini"))]
    assert found == files


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("sys.stdout.write('not a line'); os._exit(0)", "exit code 0"),
        ("subprocess.run([sys.executable, '-c', 'import os; print(\"child\"); os._exit(0)']); "
         "os.abort()", "signal 6"),
    ],
)  # fmt: skip
async def test_what_was_printed_last_stands_in_the_log(
    tmp_path: Path, ending: str, reason: str
) -> None:
    (tmp_path / "dies.py").write_text(
        f"import os, subprocess, sys\nprint('waiting for broker')\n{ending}"
    )
    words = (sys.executable, "dies.py", "{host}", "{port}")
    dies = Application("", tmp_path, name="dies", command=words)
    with pytest.raises(TargetFailed, match=reason) as failed:
        await start_application(dies, command_target("dies"), LaunchContext("i", None, tmp_path))
    assert failed.value.log[0] == "waiting for broker"
    last = {"exit code 0": "not a line", "signal 6": "child"}.get(reason, "waiting for broker")
    assert failed.value.log[-1] == last
