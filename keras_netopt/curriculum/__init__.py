"""Curriculum learning: difficulty scores, pacing, ordering, robust losses."""

from keras_netopt.curriculum.arm_comparison import ArmComparison
from keras_netopt.curriculum.compare_arms import Arm, compare_arms
from keras_netopt.curriculum.cross_validated_loss import CrossValidatedLoss
from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.difficulty import Difficulty
from keras_netopt.curriculum.epoch_plan import EpochPlan, make_plan
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
from keras_netopt.curriculum.pacing import pacing_function
from keras_netopt.curriculum.plan_batch_sampler import PlanBatchSampler
from keras_netopt.curriculum.score_file import load_scores, save_scores
from keras_netopt.curriculum.select_samples import select_samples
from keras_netopt.curriculum.self_paced import SelfPaced, self_paced_weights
from keras_netopt.curriculum.sequence_length import SequenceLengthWarmup
from keras_netopt.curriculum.streaming_dataset import StreamingDataset
from keras_netopt.curriculum.super_loss import SuperLoss
from keras_netopt.curriculum.text_difficulty import SequenceLength, TokenRarity
from keras_netopt.curriculum.training_dynamics import EL2N, ForgettingEvents

__all__ = [
    "EL2N",
    "Arm",
    "ArmComparison",
    "BabySteps",
    "CrossValidatedLoss",
    "CurriculumData",
    "Difficulty",
    "EasyFirst",
    "EpochPlan",
    "ForgettingEvents",
    "HardFirst",
    "OnePass",
    "Ordering",
    "PlanBatchSampler",
    "RandomOrder",
    "SelfPaced",
    "SequenceLength",
    "SequenceLengthWarmup",
    "Shuffle",
    "StreamingDataset",
    "SuperLoss",
    "Teacher",
    "TokenRarity",
    "compare_arms",
    "lambert_w",
    "load_scores",
    "make_plan",
    "pacing_function",
    "sample_losses",
    "save_scores",
    "select_samples",
    "self_paced_weights",
]
