import pytest

from control_plane.domain.errors import NotFound
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.experiments import preset_catalogue
from control_plane.targets.configurations import resolved


def test_presets_are_whole_specs_of_three_trials() -> None:
    for preset in preset_catalogue().presets:
        assert read_spec(preset.document, Limits(), resolved).trials == 3
        assert preset.about.endswith(".")


def test_what_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        preset_catalogue().preset("nothing")
