from pathlib import Path

import httpx

from tests.target_app.server import serving

APPLICATION = ("uvicorn", "target_app.main:app")


def test_the_temporary_folder_goes_with_the_server(tmp_path: Path) -> None:
    with serving(*APPLICATION, environment={"TMPDIR": str(tmp_path)}) as running:
        running.client.get("/users/user1000@example.com").raise_for_status()
        (folder,) = tmp_path.iterdir()
        assert (folder / "users.db").stat().st_size > 0
    assert list(tmp_path.iterdir()) == []


def test_workers_of_one_start_share_the_users(tmp_path: Path) -> None:
    environment = {"TARGET_DIRECTORY": str(tmp_path), "TARGET_PATHS": "/users/"}
    with serving(*APPLICATION, "--workers", "2", environment=environment) as running:
        user = {"email": "new@example.com", "full_name": "New"}
        assert running.client.post("/users/", json=user).status_code == 201
        for _ in range(20):
            found = httpx.get(running.client.base_url.join("/users/new@example.com"))
            assert found.json() == user
    assert (tmp_path / "users.db").exists()
