"""The applications of looplab.toml and pyproject.toml, and how a wrong file reads."""

from pathlib import Path

import pytest

from control_plane.applications_file import ApplicationsFile, read_applications, written_entry
from control_plane.domain.errors import SettingsError
from control_plane.jobs import recover
from control_plane.store.store import open_store
from scripts.real_applications import catalogue
from tests.dashboard import provide_database


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_there_are_none(here: Path) -> None:
    assert read_applications() == {}
    (here / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    assert read_applications() == {}


def test_paths_are_relative_to_the_file(here: Path) -> None:
    folder = here / "etc"
    folder.mkdir()
    (folder / "mine.toml").write_text(
        """
        [applications.shop]
        app = "shop.main:make"
        factory = true
        python = "../.venv/bin/python"
        directory = "../src"
        env_file = "secret.env"
        environment = ["DATABASE_URL", "MODE=fast=1"]
        ready_path = "/health"
        start_timeout_s = 3
        host = "shop.example:80"
        """
    )
    shop = read_applications(Path("etc/mine.toml"))["shop"]
    assert shop.python == here / ".venv/bin/python"
    assert shop.directory == here / "src"
    assert shop.env_file == folder / "secret.env"
    assert (shop.passed_on, dict(shop.environment)) == (("DATABASE_URL",), {"MODE": "fast=1"})
    assert (shop.app, shop.factory) == ("shop.main:make", True)
    assert (shop.ready_path, shop.start_timeout_s) == ("/health", 3.0)
    assert shop.host == "shop.example:80"
    assert "fast" not in repr(shop)


def test_those_that_are_tried_are_written_as_they_are_read(here: Path) -> None:
    for application in catalogue():
        (here / "looplab.toml").write_text(application.looplab)
        assert list(read_applications()) == [application.name]


def test_a_command_is_split_without_a_shell(here: Path) -> None:
    (here / "pyproject.toml").write_text(
        """
        [tool.looplab.applications.plain]
        command = "serve '--at={host}:{port}' $HOME;ls"
        """
    )
    plain = read_applications()["plain"]
    assert plain.command == ("serve", "--at={host}:{port}", "$HOME;ls")
    assert plain.directory == here


def test_looplab_toml_is_read_before_pyproject(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.looplab.applications.one]\napp = 'a:b'\n")
    (here / "looplab.toml").write_text("[applications.two]\napp = 'a:b'\n")
    assert list(read_applications()) == ["two"]


def test_what_is_iterated_over_is_one_state_of_the_file(here: Path) -> None:
    file = here / "looplab.toml"
    file.write_text("[applications.shop]\napp = 'a:b'\n[applications.till]\napp = 'a:b'\n")
    applications = ApplicationsFile()
    names, values = iter(applications.items()), iter(applications.values())
    next(names), next(values)
    file.write_text("")
    assert [name for name, _ in names] == [known.name for known in values] == ["till"]
    assert list(applications) == []


def test_a_file_that_is_made_later_is_read(here: Path) -> None:
    applications = ApplicationsFile()
    assert [*applications] == []
    (here / "looplab.toml").write_text("\ufeff[applications.shop]\napp = 'a:b'\n", "utf-8")
    assert ([*applications], applications.fault) == (["shop"], "")
    (here / "looplab.toml").unlink()
    assert [*applications] == []


def test_an_application_is_added_where_the_others_stand(here: Path) -> None:
    project = here / "pyproject.toml"
    project.write_text("[project]\nname = 'shop'\n")
    applications = ApplicationsFile()
    assert (applications.path, applications.table) == (here / "looplab.toml", "")
    project.write_text("[tool.looplab.applications.shop]\napp = 'a:b'\n")
    assert applications.path == project
    entry = written_entry("till", "c:d", table=applications.table)
    project.write_text(f"{project.read_text()}\n{entry}\n")
    assert list(applications) == ["shop", "till"] == list(read_applications(project))
    (here / "looplab.toml").write_text("[applications.other]\napp = 'a:b'\n")
    assert (applications.path, applications.table) == (here / "looplab.toml", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[applications.shop", "is not readable TOML: "),
        ("[applications.shop]\napp = 'os.system'", "applications.shop.app 'os.system': write mod"),
        ("[applications.shop]\napp = '--reload:x'", "applications.shop.app '--reload:x': write"),
        ("[applications.shop]\napp = 'a:b'\nport = 1", "applications.shop.port 1: there is no"),
        ("[applications.shop]\napp = 1", "applications.shop.app 1: give text"),
        ("[applications.shop]\n", "applications.shop: give exactly one of app and command"),
        ("[applications.shop]\napp = 'a:b'\ncommand = 'x {host} {port}'", "exactly one of app"),
        ("[applications.shop]\ncommand = 'x {host}'", "command 'x {host}': write {port} where"),
        ('[applications.shop]\ncommand = "\'x {host} {port}"', "the quotes do not match"),
        ("[applications.shop]\ncommand = []", "name a program"),
        ("[applications.bundled]\napp = 'a:b'", "applications.bundled 'bundled': name it with"),
        ("[applications.'../x']\napp = 'a:b'", "applications.../x '../x': name it with"),
        ("[applications]\nshop = 'a:b'", "applications.shop 'a:b': give a table"),
        ("applications = 3", "applications 3: give a table"),
        ("[application.shop]\napp = 'a:b'", "application: there is no such key, write one of appl"),
        ("[applications.shop]\napp = 'a:b'\nprot = 1", "no such key, write one of app, factory,"),
        (
            "[applications.shop]\napp = 'a:b'\nready_path = \"/x\\r\\nX: y\"",
            "ready_path '/x\\r\\nX: y': write a path",
        ),
        (
            "[applications.shop]\napp = 'a:b'\nhost = 'http://a'",
            "host 'http://a': 'http://a' is no",
        ),
        ("[applications.shop]\napp = 'a:b'\nstart_timeout_s = 'soon'", "give a number of seconds"),
        ("[applications.shop]\napp = 'a:b'\nstart_timeout_s = inf", "give 0.1 to 600 seconds"),
        ("[applications.shop]\napp = 'a:b'\nstart_timeout_s = 0", "give 0.1 to 600 seconds"),
        ("[applications.shop]\napp = 'a:b'\nfactory = 'yes'", "give true or false"),
        ("[applications.shop]\napp = 'a:b'\npython = ''", "name a path"),
        (
            "[applications.shop]\napp = 'a:b'\nenvironment = ['LOOPLAB_INSTANCE']",
            "LOOPLAB_INSTANCE belongs to Looplab",
        ),
        ("a = " + "[" * 5_000 + "]" * 5_000, "is not readable TOML: "),
    ],
)
def test_a_wrong_file_is_one_line(here: Path, text: str, words: str) -> None:
    (here / "looplab.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_applications()
    message = str(refused.value)
    assert message.startswith("looplab.toml")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "environment = ['1KEY=hunter2', 'PASSWORD=hunter2']",
        "command = 'serve postgres://u:hunter2@h/db'",
        "files = {'a/b' = 'hunter2'}",
    ],
)
def test_secrets_are_not_repeated(here: Path, text: str) -> None:
    (here / "looplab.toml").write_text(f"[applications.shop]\n{text}\n")
    with pytest.raises(SettingsError) as refused:
        read_applications()
    assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_one_line(here: Path) -> None:
    with pytest.raises(SettingsError, match=r"^none\.toml cannot be read: No such file"):
        read_applications(Path("none.toml"))
    (here / "looplab.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"^looplab\.toml is not readable TOML"):
        read_applications()
    (here / "looplab.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SettingsError, match=r"above the limit of 1,000,000 bytes"):
        read_applications()


def test_a_file_that_comes_later_is_read_by_a_dashboard(here: Path) -> None:
    store = open_store(provide_database(here / "runs.db"))
    runtime = recover(store, (), "normal", ApplicationsFile())
    assert list(runtime.applications) == []
    (here / "looplab.toml").write_text('[applications.shop]\napp = "app:app"\n')
    assert list(runtime.applications) == ["shop"]
    store.close()
