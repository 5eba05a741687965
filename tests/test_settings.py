"""Settings: where they come from, which wins, and what a wrong one says."""

from dataclasses import fields
from pathlib import Path

import pytest

from control_plane.domain.errors import SettingsError
from control_plane.domain.limits import Limits
from control_plane.domain.target_addresses import allowed_target
from control_plane.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env of anybody."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_the_defaults_hold() -> None:
    assert load_settings() == Settings()
    assert (Settings().host, Settings().port, Settings().db) == ("127.0.0.1", 8200, Path("runs.db"))
    assert Settings().limits == Limits()


def test_options_win_over_the_environment_and_that_over_the_file(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".env").write_text("LOOPLAB_PORT=1\nLOOPLAB_HOST=127.0.0.2\nOTHER=x\n")
    assert (load_settings().port, load_settings().host) == (1, "127.0.0.2")
    monkeypatch.setenv("LOOPLAB_PORT", "2")
    monkeypatch.setenv("LOOPLAB_DB", "other.db")
    assert (load_settings().port, load_settings().db) == (2, Path("other.db"))
    given = load_settings(port=0, db=Path("given.db"), host="::1")
    assert (given.port, given.db, given.host) == (0, Path("given.db"), "::1")


@pytest.mark.parametrize(
    "limit", [field.name for field in fields(Limits) if field.name.startswith("max_")]
)
def test_every_limit_can_be_raised_by_the_name_that_its_error_gives(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Limits.setting(limit), "123456789")
    raised = load_settings().limits
    assert getattr(raised, limit) == 123_456_789
    assert type(getattr(raised, limit)) is type(getattr(Limits(), limit))


def test_host_names_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLAB_ALLOWED_HOSTS", "Bench.example, looplab ,,")
    assert load_settings().allowed_hosts == ("bench.example", "looplab")
    monkeypatch.setenv("LOOPLAB_ALLOWED_HOSTS", "")
    assert load_settings().allowed_hosts == ()


def test_targets_elsewhere_are_allowed_where_a_login_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOPLAB_ALLOWED_TARGETS", "Bench.example:8000, 10.0.0.0/24 ,,")
    allowed = (allowed_target("bench.example:8000"), allowed_target("10.0.0.0/24"))
    assert load_settings().limits == Limits(allowed_targets=allowed)
    with pytest.raises(SettingsError, match="without a login"):
        load_settings(token=False)
    monkeypatch.setenv("LOOPLAB_PASSWORD", "a word of the operators")
    assert load_settings(token=False).limits.allowed_targets == allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_it_listens_on_this_machine(host: str) -> None:
    assert load_settings(host=host).host == host


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HOST", "0.0.0.0", "without a login"),
        ("HOST", "::", "without a login"),
        ("HOST", "192.168.1.7", "without a login"),
        ("HOST", "::ffff:10.0.0.1", "without a login"),
        ("HOST", "example.com", "address of this machine"),
        ("HOST", "127.0.0.1\n", "address of this machine"),
        ("HOST", "127.0.0.1:80", "address of this machine"),
        ("PORT", "70000", "65535"),
        ("PORT", "-1", "0"),
        ("PORT", "http", "integer"),
        ("ALLOWED_HOSTS", "*", "not a host name"),
        ("ALLOWED_HOSTS", "a.example:80", "not a host name"),
        ("ALLOWED_TARGETS", "http://a.example", "no target"),
        ("ALLOWED_TARGETS", "10.0.0.0/8", "too wide"),
        ("MAX_CONCURRENCY", "many", "integer"),
        ("MAX_CONCURRENCY", "0", "greater than 0"),
        ("MAX_DURATION_S", "nan", "finite"),
        ("MAX_DURATION_S", "inf", "finite"),
    ],
)
def test_a_wrong_setting_is_one_line_with_name_and_value(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LOOPLAB_{name}", value)
    with pytest.raises(SettingsError, match=words) as refused:
        load_settings()
    message = str(refused.value)
    assert message.startswith(f"LOOPLAB_{name} {value!r}: ")
    assert "\n" not in message


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(SettingsError, match=r"^--port '70000': "):
        load_settings(port=70_000)
    with pytest.raises(SettingsError, match=r"^--host '0\.0\.0\.0': "):
        load_settings(host="0.0.0.0")


def test_an_unreadable_file_is_one_line(elsewhere: Path) -> None:
    (elsewhere / ".env").write_bytes(b"LOOPLAB_PORT=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env cannot be read") as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_templates_and_static_files_are_found_from_any_directory() -> None:
    assert (Settings().static_dir / "vendor" / "htmx.min.js").is_file()
    assert Settings().templates_dir.is_dir()
