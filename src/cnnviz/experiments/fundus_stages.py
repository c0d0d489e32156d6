"""The stages of training De Fauw's network. Nothing heavy is imported: the workflow reads this."""

__all__ = ["STAGES", "WITH_PHOTOGRAPHS", "pictures_seed"]

#: In their order: small narrow-field synthetic pictures with tied biases, whole synthetic eye
#: pairs, the same with other settings, IDRiD's training split and some synthetic pairs, again.
STAGES = ("narrow", "pairs", "more_pairs", "photographs", "more_photographs")
WITH_PHOTOGRAPHS = ("photographs", "more_photographs")


def pictures_seed(stage: str, seed: int) -> int:
    """Seed of a stage's pictures, so that none draws whole eyes of another's."""
    return 1000 + seed + max(0, STAGES.index(stage) - STAGES.index("pairs"))
