from control_plane.pages.form.form_data import FormData, form_data

REQUEST = "workload.streams.0.requests.0"


def form(**values: str) -> FormData:
    return FormData(
        {f"{REQUEST}.{name.replace('__', '.')}": (text,) for name, text in values.items()}
    )


def test_pairs_of_one_name_are_kept_in_order_and_files_are_left_out() -> None:
    read = form_data([("a", "1"), ("b", object()), ("a", " 2 ")])
    assert read.all("a") == ("1", " 2 ")
    assert read.text("a") == "2"
    assert read.has("a", "1")
    assert "b" not in read.values


def test_a_missing_field_has_its_default() -> None:
    assert FormData({}).text("trials", "3") == "3"
    assert FormData({}).all("trials") == ()


def test_indices_are_those_that_were_sent() -> None:
    read = form_data([("s.2.name", "x"), ("s.0.name", "y"), ("s.0.path", "z"), ("s.x.name", "")])
    assert read.indices("s") == (0, 2)


def test_placeholders_stand_in_path_headers_and_json() -> None:
    read = form(path="/{b}/{a}/{b}", headers="X: {c}", body="json", body__json='{"k": "{d}"}')
    assert read.placeholders(REQUEST) == ("b", "a", "c", "d")


def test_a_body_that_is_not_chosen_has_no_placeholders() -> None:
    read = form(path="/{a}", body="none", body__json='{"k": "{d}"}')
    assert read.placeholders(REQUEST) == ("a",)


def test_the_nearest_field_stands_for_a_path() -> None:
    read = form(headers="")
    assert read.nearest(f"{REQUEST}.headers.X-Id") == f"{REQUEST}.headers"
    assert read.nearest("nothing.like.it") == ""
