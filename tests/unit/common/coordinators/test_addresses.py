"""In which order coordinators are asked."""

from __future__ import annotations

from streamkeep_common.coordinators import CoordinatorAddresses
from streamkeep_common.coordinators.addresses import Round


def test_the_active_one_is_asked_first_for_changes_and_whoever_answered_last_for_the_rest() -> None:
    addresses = CoordinatorAddresses(["a:1", "b:1", "c:1"])
    addresses.served("b:1", as_active=False)
    addresses.redirected("b:1", "c:1")
    assert addresses.in_order(active_first=True) == ["c:1", "b:1", "a:1"]
    assert addresses.in_order(active_first=False) == ["b:1", "c:1", "a:1"]


def test_who_failed_is_asked_last_until_it_answers_and_never_given_up() -> None:
    addresses = CoordinatorAddresses(["a:1", "b:1", "c:1"])
    addresses.served("a:1", as_active=True)
    addresses.failed("a:1")
    addresses.failed("b:1")
    assert addresses.in_order(active_first=True) == ["c:1", "a:1", "b:1"]
    addresses.failed("a:1")
    assert addresses.in_order(active_first=True) == ["c:1", "b:1", "a:1"]
    addresses.answered("a:1")
    assert addresses.in_order(active_first=True) == ["a:1", "c:1", "b:1"]


def test_the_clusters_own_list_goes_before_the_one_a_person_gave() -> None:
    addresses = CoordinatorAddresses(["typo:1", "a:1"])
    addresses.learn(["a:1", "b:1", ""])
    assert addresses.known == ("a:1", "b:1", "typo:1")
    addresses.learn(["c:1"])
    assert addresses.known == ("c:1", "typo:1", "a:1")


def test_an_address_that_nobody_had_named_before_is_asked_if_it_is_the_active_one() -> None:
    addresses = CoordinatorAddresses(["a:1"])
    addresses.redirected("a:1", "new:1")
    assert addresses.in_order(active_first=True) == ["new:1", "a:1"]
    addresses.failed("new:1")
    addresses.redirected("a:1", "newer:1")
    addresses.failed("newer:1")
    assert addresses.in_order(active_first=True) == ["a:1", "newer:1"], "what nobody names is forgotten"


def test_who_says_that_it_is_active_no_more_is_believed() -> None:
    addresses = CoordinatorAddresses(["a:1", "b:1"])
    addresses.served("b:1", as_active=True)
    addresses.redirected("a:1", "")
    assert addresses.active == "b:1", "a standby that knows of nobody says nothing against b"
    addresses.redirected("b:1", "")
    assert addresses.active == ""


def test_in_a_round_nobody_is_asked_twice() -> None:
    one_round = Round(["a", "b", "c"], being_asked=["c"])
    assert one_round.next() == "a"
    assert one_round.redirect("b")
    assert not one_round.redirect("a")
    assert not one_round.redirect("b")
    assert not one_round.redirect("c")
    assert not one_round.redirect("")
    assert one_round.next() is None
