"""What a model sees next: difficulty, pacing, order, and losses that weigh."""

from keras_netopt.curriculum.arm_report import ArmComparison
from keras_netopt.curriculum.compare import Arm, compare_arms
from keras_netopt.curriculum.cross_scores import CrossScored
from keras_netopt.curriculum.data import CurriculumData
from keras_netopt.curriculum.difficulty import Difficulty
from keras_netopt.curriculum.early_scores import EL2N, Forgetting
from keras_netopt.curriculum.lambert_w import lambert_w
from keras_netopt.curriculum.model_difficulty import Teacher, sample_losses
from keras_netopt.curriculum.ordering import (
    BabySteps,
    EasyFirst,
    HardFirst,
    OnePass,
    Ordering,
    RandomOrder,
    Shuffle,
)
from keras_netopt.curriculum.pacing import pacing
from keras_netopt.curriculum.plan import EpochPlan, make_plan
from keras_netopt.curriculum.plan_sampler import PlanSampler
from keras_netopt.curriculum.score_file import load_scores, save_scores
from keras_netopt.curriculum.selection import select_samples
from keras_netopt.curriculum.self_paced import SelfPaced, self_paced_weights
from keras_netopt.curriculum.sequence_length import SequenceLengthWarmup
from keras_netopt.curriculum.stream import Stream
from keras_netopt.curriculum.super_loss import SuperLoss
from keras_netopt.curriculum.text_difficulty import Length, Rarity

__all__ = [
    "EL2N",
    "Arm",
    "ArmComparison",
    "BabySteps",
    "CrossScored",
    "CurriculumData",
    "Difficulty",
    "EasyFirst",
    "Forgetting",
    "HardFirst",
    "Length",
    "OnePass",
    "Ordering",
    "EpochPlan",
    "PlanSampler",
    "RandomOrder",
    "Rarity",
    "SelfPaced",
    "SequenceLengthWarmup",
    "Shuffle",
    "Stream",
    "SuperLoss",
    "Teacher",
    "compare_arms",
    "lambert_w",
    "load_scores",
    "make_plan",
    "pacing",
    "sample_losses",
    "save_scores",
    "select_samples",
    "self_paced_weights",
]
