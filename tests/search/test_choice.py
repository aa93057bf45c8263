"""The choice among candidates, with trainings whose outcome is known."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobilenet.benchmark.device.profile import Curve, DeviceProfile, Estimate, Point, Variant
from mobilenet.benchmark.result import Environment
from mobilenet.errors import ConfigError
from mobilenet.export.proof.verify import Gate, Proof
from mobilenet.search.budget import Limits
from mobilenet.search.candidates import Candidate, front, weigh
from mobilenet.search.strategy.halving import halve, plan_rounds
from mobilenet.search.strategy.smallest import Foresight, smallest_that_reach
from mobilenet.search.trial import proving
from mobilenet.search.trial.files import MeasuredFile, best, nearest
from mobilenet.spec import Network, mobilenet_v1
from mobilenet.spec.cost import cost

_WIDTHS, _SIDES = (0.25, 0.5, 0.75, 1.0), (96, 128, 160, 192, 224)
_VARIANTS = (Variant("litert", "float32", 1), Variant("litert", "int8", 1))


def _curve(variant: Variant, speed: float, size: float) -> Curve:
    """A device on which every network takes as long as its mult-adds are, as exactly as can be."""
    points = []
    for width in _WIDTHS:
        for side in _SIDES:
            whole = cost(mobilenet_v1(width, side, 10))
            ms = whole.mult_adds / speed
            points.append(Point(width, side, ms, ms, int(whole.params * size), int(whole.params * size)))
    return Curve(variant, 10, tuple(points))


def _table(candidate: Candidate) -> Network:
    """A classifier of ten classes."""
    return mobilenet_v1(candidate.width_multiplier, candidate.resolution, 10)


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    environment = Environment("board", 1, None, "Linux", None, None, None, None, {})
    curves = (_curve(_VARIANTS[0], 50e6, 4), _curve(_VARIANTS[1], 150e6, 1))
    return DeviceProfile(environment, 10, _WIDTHS, _SIDES, 1.0, curves)


def test_what_is_outside_is_never_a_candidate(profile: DeviceProfile) -> None:
    """1 ms of 150 million mult-adds in 8 bits: 0.75-128 has 107 million and is inside, 0.75-160 has 166 and is not."""
    options = {str(one.candidate): one for one in weigh(profile, Limits(latency_ms=1.0, reserve=0), _table, _VARIANTS)}
    assert options["0.75-128"].inside
    assert [one.variant.precision for one in options["0.75-128"].inside] == ["int8"]
    assert not options["0.75-160"].inside
    assert options["0.75-160"].why_not.startswith("over budget: 1.1")
    assert {one.variant.precision for one in options["0.25-128"].inside} == {"float32", "int8"}


def test_every_limit_counts(profile: DeviceProfile) -> None:
    limits = Limits(latency_ms=1.0, size_bytes=1_000_000, memory_bytes=500_000, reserve=0)
    inside = [str(one.candidate) for one in weigh(profile, limits, _table, _VARIANTS) if one.inside]
    assert inside == ["0.25-96", "0.25-128", "0.25-160", "0.25-192", "0.25-224"]


def test_the_front_holds_no_candidate_that_a_larger_one_replaces(profile: DeviceProfile) -> None:
    kept = [str(one.candidate) for one in front(weigh(profile, Limits(latency_ms=1.0, reserve=0), _table, _VARIANTS))]
    assert kept == ["0.25-224", "0.5-192", "0.75-128", "1-96"]


def test_own_weights_do_not_give_way_to_thinned_ones(profile: DeviceProfile) -> None:
    """0.75 has no weights of its own and would be cut out of 1.0: it cannot replace 0.5, which has."""
    options = weigh(profile, Limits(latency_ms=1.3, reserve=0), _table, _VARIANTS, weight_widths=(0.5, 1.0))
    kept = {str(one.candidate): one.native for one in front(options)}
    assert kept["0.5-224"]
    assert all(name.split("-")[0] in ("0.5", "0.75", "1") for name in kept)
    plain = {str(one.candidate) for one in front(weigh(profile, Limits(latency_ms=1.3, reserve=0), _table, _VARIANTS))}
    assert plain <= set(kept) | {"0.25-224"}


def test_nothing_is_wider_than_the_weights(profile: DeviceProfile) -> None:
    options = weigh(profile, Limits(latency_ms=100.0), _table, _VARIANTS, weight_widths=(0.5,))
    assert max(one.candidate.width_multiplier for one in options if one.inside) == 0.5
    assert "wider than all weights" in next(one.why_not for one in options if one.candidate.width_multiplier == 1)


@pytest.mark.parametrize(("contenders", "epochs"), [(2, 12), (4, 12), (5, 12), (8, 12), (3, 48), (6, 48), (12, 48)])
def test_a_search_takes_less_than_three_trainings(contenders: int, epochs: int) -> None:
    total = epochs + sum(one.contenders * one.epochs for one in plan_rounds(contenders, epochs))
    assert total <= 2.3 * epochs or contenders > 7
    assert total <= 3 * epochs


def test_one_candidate_needs_no_search() -> None:
    assert plan_rounds(1, 48) == ()
    assert halve(["only"], 48, lambda *_: pytest.fail("it was trained")) == ("only",)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8, unique=True))
def test_the_best_wins_where_short_trainings_tell_the_truth(truth: list[float]) -> None:
    found = halve(range(len(truth)), 48, lambda number, _: truth[number])
    assert truth[found[0]] == max(truth)
    assert sorted(found) == list(range(len(truth)))


def test_the_last_round_decides_between_the_best_two() -> None:
    trained: list[tuple[str, int]] = []

    def score(name: str, epochs: int) -> float:
        trained.append((name, epochs))
        early, late = {"slow": (0.5, 0.9), "fast": (0.6, 0.7), "bad": (0.1, 0.99)}[name]
        return early if epochs < 13 else late

    assert halve(["bad", "fast", "slow"], 48, score) == ("slow", "fast", "bad")
    assert trained == [("bad", 9), ("fast", 9), ("slow", 9), ("fast", 13), ("slow", 13)]


def _accuracy(candidate: tuple[int, int]) -> float:
    return 0.5 + 0.1 * candidate[0] + 0.02 * candidate[1]


_CHAINS = [[(width, side) for side in range(5)] for width in range(4)]


@given(st.floats(0.5, 0.87))
def test_the_smallest_that_reaches_an_accuracy_is_found(goal: float) -> None:
    """Short trainings make a quarter more mistakes than full ones, which is what is expected at first."""
    assume(all(abs(_accuracy(one) - goal) > 1e-6 for chain in _CHAINS for one in chain))

    def score(candidate: tuple[int, int], epochs: int) -> float:
        full = _accuracy(candidate)
        return full if epochs == 48 else 1 - (1 - full) / 0.8

    for tried in smallest_that_reach(_CHAINS, goal, 48, score):
        if score(tried, 48) >= goal:
            break
    ends = next(chain for chain in _CHAINS if _accuracy(chain[-1]) >= goal - 1e-9)
    wanted = next(one for one in ends if _accuracy(one) >= goal - 1e-9)
    assert tried == wanted


def test_too_much_hope_is_corrected_and_larger_ones_are_tried() -> None:
    """Full trainings gain nothing over short ones, against what is expected at first."""
    tried = []
    for candidate in smallest_that_reach(_CHAINS, 0.7, 48, lambda one, _: _accuracy(one)):
        tried.append(candidate)
        if _accuracy(candidate) >= 0.7:
            break
    assert _accuracy(tried[-1]) == pytest.approx(0.7, abs=0.025)
    assert len(tried) <= 3


def test_what_nothing_reaches_ends() -> None:
    tried = list(smallest_that_reach(_CHAINS, 0.99, 48, lambda one, _: _accuracy(one)))
    assert tried == [(3, 4)]


def test_the_narrowest_that_seems_able_is_taken_where_wider_ones_see_less() -> None:
    """Inside 1 ms on photos of clothing: the ends of the chains grow in width, and not in accuracy."""
    ends = {"0.25-224": 0.894, "0.375-192": 0.865, "0.5-160": 0.874, "0.625-128": 0.881, "1-96": 0.883}
    for goal, wanted in ((0.89, "0.25-224"), (0.88, "0.25-224"), (0.9, "0.25-224")):
        found = smallest_that_reach([[name] for name in ends], goal, 48, lambda name, _: ends[name])
        assert next(found) == wanted
    without = smallest_that_reach(
        [[name] for name in ends], 0.87, 48, lambda name, _: ends[name], lambda name: name != "0.25-224"
    )
    assert next(without) == "0.375-192"


@pytest.fixture
def file() -> Callable[..., MeasuredFile]:
    plain = MeasuredFile(
        "a.tflite",
        "litert",
        "int8",
        1,
        0.9,
        0.9,
        1.0,
        1000,
        0.9,
        1.0,
        5000,
        0.0,
        estimated=False,
        failures=(),
        over=(),
        proof={"photos": 10},
    )
    return lambda **changes: replace(plain, **changes)


def test_the_most_accurate_usable_file_is_taken(file: Callable[..., MeasuredFile]) -> None:
    slow, fast = file(p95_ms=2.0), file(p95_ms=1.0)
    better = file(accuracy=0.95, over=("2 ms at p95",))
    wrong = file(accuracy=0.95, failures=("it computes something else",))
    assert best([wrong, slow, better, fast], Limits(latency_ms=2)) is fast
    assert best([wrong, better], Limits(latency_ms=2)) is None
    assert nearest([wrong, better], Limits(latency_ms=2)) is better
    assert best([file(size_bytes=10), file(size_bytes=5, accuracy=0.85)], Limits(accuracy=0.8)).size_bytes == 5  # type: ignore[union-attr]


def test_a_file_survives_its_json(file: Callable[..., MeasuredFile]) -> None:
    one = file(over=("2 ms at p95",))
    assert MeasuredFile.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no budget is given"),
        ({"latency_ms": 0.0}, "a latency of 0"),
        ({"size_bytes": -1.0}, "a size of -1"),
        ({"accuracy": 1.5}, "an accuracy of 1.5"),
        ({"accuracy": 0.5, "reserve": -0.1}, "a reserve of -0.1"),
        ({"reserve": 0.2}, "no budget is given"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Limits(**fields)


def test_an_estimate_needs_room_for_its_own_error() -> None:
    estimate = Estimate(_VARIANTS[0], 0.9, 0.97, 1000, 1000, error=0.05, memory_error=0.1)
    assert Limits(latency_ms=1.0, reserve=0).over(estimate) == ("0.97 ms at p95, with a margin of 5%",)
    assert Limits(latency_ms=1.02, reserve=0).over(estimate) == ()
    assert Limits(latency_ms=0.5, reserve=0).over(estimate) == ("0.97 ms at p95",)
    assert Limits(memory_bytes=1050).over(estimate) == ("1 kB of memory, with a margin of 10%",)
    assert Limits(memory_bytes=1101).over(estimate) == ()
    assert Limits(size_bytes=1005).over(estimate) == ("a file of 1 kB, with a margin of 1%",)


def test_the_limits_that_would_be_enough_are_enough() -> None:
    estimate = Estimate(_VARIANTS[0], 0.9, 0.97, 123_456, 7_654_321, error=0.05, memory_error=0.1)
    told = Limits(latency_ms=1.0, size_bytes=1000, memory_bytes=1e9).enough(estimate)
    assert told == "--latency 1.13ms --size 7.74MB"
    assert Limits(latency_ms=1.13, size_bytes=7.74e6).over(estimate) == ()
    assert Limits(latency_ms=1.12).over(estimate)
    assert Limits(size_bytes=7.73e6).over(estimate)
    assert Limits(memory_bytes=1e3).enough(replace(estimate, peak_bytes=908_500)) == "--memory 1000kB"


def test_an_estimate_leaves_room_for_a_busier_hour_and_a_measured_file_need_not() -> None:
    estimate = Estimate(_VARIANTS[0], 0.9, 1.0, 1000, 1000, error=0.05, memory_error=0.1)
    assert Limits(latency_ms=1.25, reserve=0.2).over(estimate) == ("1 ms at p95, with a margin of 26%",)
    assert Limits(latency_ms=1.27, reserve=0.2).over(estimate) == ()
    assert Limits(latency_ms=1.0, reserve=0.2).excess(0.99, 1000, 1000) == ()


def test_a_candidate_is_within_a_larger_one() -> None:
    assert Candidate(0.5, 128).within(Candidate(0.5, 160))
    assert not Candidate(0.5, 128).within(Candidate(0.5, 128))
    assert not Candidate(0.5, 128).within(Candidate(0.75, 96))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_not_known_is_outside_every_limit(value: float) -> None:
    for limits, figures, words in (
        (Limits(latency_ms=1e9), (value, 1.0, 1.0), "its latency is not known"),
        (Limits(size_bytes=1e9), (1.0, value, 1.0), "its size is not known"),
        (Limits(memory_bytes=1e9), (1.0, 1.0, value), "its memory is not known"),
    ):
        assert limits.excess(*figures) == (words,)
        assert limits.distance(*figures) == math.inf
        assert limits.excess(1.0, 1.0, 1.0) == ()


def test_the_distance_of_what_is_not_known_does_not_depend_on_its_place() -> None:
    limits = Limits(latency_ms=1.0, size_bytes=1.0, memory_bytes=1.0)
    assert limits.distance(0.5, math.nan, 0.5) == limits.distance(math.nan, 0.5, 0.5) == math.inf


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_an_estimate_whose_error_is_not_known_is_outside(error: float) -> None:
    estimate = Estimate(_VARIANTS[0], 0.9, 0.97, 1000, 1000, error=error, memory_error=error)
    assert Limits(latency_ms=1e6).over(estimate) == ("its latency is not known",)
    assert Limits(memory_bytes=1e6).over(estimate) == ("its memory is not known",)
    assert Limits(latency_ms=0.5).enough(estimate) == ""


@pytest.mark.parametrize("unknown", [{"accuracy": None}, {"accuracy": math.nan}, {"p95_ms": math.nan}])
@pytest.mark.parametrize("limits", [Limits(latency_ms=2), Limits(accuracy=0.5), Limits(size_bytes=1e6)])
def test_a_file_of_which_a_figure_is_not_known_is_never_taken(
    file: Callable[..., MeasuredFile], limits: Limits, unknown: dict[str, float | None]
) -> None:
    blank, plain = file(size_bytes=1, **unknown), file(accuracy=0.6)
    for both in ([blank, plain], [plain, blank]):
        assert best(both, limits) is plain
        assert nearest(both, limits) is plain
    assert best([blank], limits) is None
    name = "score" if "accuracy" in unknown else "latency"
    assert blank.why_not == (f"its {name} is not known",)


def test_a_file_says_all_that_is_not_known_of_it_in_one_line(file: Callable[..., MeasuredFile]) -> None:
    blank = file(accuracy=None, p95_ms=math.nan, peak_bytes=math.nan)
    assert blank.why_not == ("its score and latency and memory are not known",)


@pytest.mark.parametrize("accuracy", [None, math.nan])
def test_an_accuracy_that_is_not_known_does_not_reach_what_is_asked(accuracy: float | None) -> None:
    proof = Proof("a.tflite", "litert", "int8", 9, 48, 0.0, 0.0, 1.0, accuracy, 0.9, 1.0, None, (Gate("size", 9, 9),))
    took = proving._Taken(1.0, 1.0, 1000, 0.0, estimated=False)
    judged = proving._judged(proof, 1, took, Limits(accuracy=0.5), "AP")
    assert judged.why_not == ("its score is not known",)
    assert not proving._judged(replace(proof, accuracy=0.49), 1, took, Limits(accuracy=0.5), "AP").usable
    assert proving._judged(replace(proof, accuracy=0.5), 1, took, Limits(accuracy=0.5), "AP").usable


def test_a_latency_that_is_not_known_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def measured(*_: object) -> SimpleNamespace:
        runs.append(1)
        return SimpleNamespace(timings=(SimpleNamespace(p95_ms=math.nan, waited=0.5),))

    monkeypatch.setattr(proving, "measure", measured)
    assert math.isnan(proving._calmest([], Limits(latency_ms=1.0), None)[0].p95_ms)
    assert len(runs) == 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_score_that_is_no_number_comes_last(place: int) -> None:
    scores = [0.5, 0.7]
    scores.insert(place, math.nan)
    assert halve(range(3), 48, lambda number, _: scores[number])[-1] == place


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_smallest_is_not_looked_for_where_short_trainings_tell_nothing(place: int) -> None:
    scores = [0.5, 0.7]
    scores.insert(place, math.nan)
    tried = list(smallest_that_reach([[0], [1], [2]], 0.99, 48, lambda number, _: scores[number]))
    assert tried == [scores.index(0.7)]


def test_a_full_training_without_a_figure_teaches_nothing() -> None:
    foresight = Foresight()
    before = foresight.guess(0.5)
    foresight.learn(0.5, math.nan)
    assert foresight.guess(0.5) == before
