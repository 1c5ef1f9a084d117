"""A person who is recognised far worse than the rest is named, unless a few windows, or few people, say so."""

from edgehar.metrics.subjects import outlying_subject


def counts(**correct_of_total: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {name: {"correct": correct, "total": total} for name, (correct, total) in correct_of_total.items()}


def test_a_person_far_below_the_rest_is_named_with_the_counts():
    found = outlying_subject(counts(ann=(54, 58), bob=(35, 58), cat=(56, 58)))
    assert found is not None
    assert found.text == (
        "Person 'bob' is recognised far worse than the rest: 35 of 58 correct (60%), the other people 110 of 116 (95%)."
    )


def test_nobody_is_named_without_a_certain_and_large_difference():
    assert outlying_subject(counts(ann=(54, 58), bob=(50, 58), cat=(56, 58))) is None  # 9 points
    assert outlying_subject(counts(ann=(9500, 10000), bob=(8500, 10000), cat=(9600, 10000))) is None  # certain, 11
    assert outlying_subject(counts(ann=(5, 5), bob=(3, 5), cat=(5, 5))) is None  # 40 points of five windows
    assert outlying_subject(counts(ann=(54, 58), bob=(10, 58))) is None  # either may be the exception
    assert outlying_subject(counts(ann=(54, 58), bob=(10, 58), cat=(0, 0))) is None
    assert outlying_subject({}) is None
