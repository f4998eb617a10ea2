"""The schedule of a project: what never comes, or Dagster would refuse later, is refused when the config is read."""

import dagster as dg
import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings


def load(folder, **changes):
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes)))
    return load_config(path)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * *", "4 fields are given, and five are needed"),
        ("0 3 * * * *", "6 fields"),
        ("", "0 fields"),
        ("*/90 * * * *", r"step of `\*/90` is larger than the range of the minute \(0 to 59\)"),
        ("0 */36 * * *", "the hour"),
        ("0,*/61 * * * *", "the minute"),
        ("61 * * * *", "not a cron expression"),
        ("*/0 * * * *", "not a cron expression"),
        ("0 0 30,31 2 *", "no date fits it"),
        ("0 0 31 4,6 *", "no date fits it"),
        ("R * * * *", "R and H"),
        ("@hourlyy", "no such shorthand"),
        ("@reboot", "no such shorthand"),
    ],
)
def test_a_cron_expression_that_is_wrong_or_never_comes_is_refused(tmp_path, cron, words):
    with pytest.raises(ConfigError, match=rf"distill\.yaml:\d+: automation\.cron: .*{words}"):
        load(tmp_path, **{"automation.cron": cron})


@pytest.mark.parametrize(
    "cron", ["0 3 * * *", "*/15 8-18 * * mon-fri", "0 0 29 2 *", "@daily", "30 4 1,15 * 5", "0 0 L * *"]
)
def test_a_cron_expression_that_dagster_takes_is_accepted(tmp_path, cron):
    config = load(tmp_path, **{"automation.cron": cron, "automation.timezone": "Europe/Berlin"})
    dg.Definitions.validate_loadable(build_definitions(config))


@pytest.mark.parametrize(
    ("zone", "words"),
    [("Europe/Berln", r"did you mean Europe/Berlin\?"), ("Mars", "such as Europe/Berlin"), ("", "such")],
)
def test_a_time_zone_that_does_not_exist_is_refused(tmp_path, zone, words):
    with pytest.raises(ConfigError, match=rf"distill\.yaml:\d+: automation\.timezone: no time zone .*{words}"):
        load(tmp_path, **{"automation.timezone": zone})


@pytest.mark.parametrize("owner", ["data team", "team:", "team: ", "ana", "ana@host", "", "@example.org"])
def test_an_owner_that_dagster_refuses_is_refused_with_its_field(tmp_path, owner):
    with pytest.raises(ConfigError, match=r"distill\.yaml:\d+: owners: "):
        load(tmp_path, owners=[owner])


def test_owners_that_dagster_takes_are_accepted(tmp_path):
    config = load(tmp_path, owners=["team:data team", "ana.b+c@mail.example.org"])
    dg.Definitions.validate_loadable(build_definitions(config))
