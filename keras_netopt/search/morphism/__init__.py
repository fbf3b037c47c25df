"""Network morphism search: children inherit the weights of their parents.

`netopt.search.Morphism` is its public name. Nothing here needs KerasTuner.
"""

from keras_netopt.search.morphism.morphism_report import MorphismReport
from keras_netopt.search.morphism.morphism_trial import MorphismTrial
from keras_netopt.search.morphism.mutation import Mutation
from keras_netopt.search.morphism.mutation_report import MutationReport

__all__ = ["MorphismReport", "MorphismTrial", "Mutation", "MutationReport"]
