"""Curvature of the controls: how `Q_uu` is approximated."""

from ocngame.curvature.base import Curvature, State
from ocngame.curvature.choice import rule_for
from ocngame.curvature.columns import (
    ColumnRule,
    ExactColumns,
    GradientColumn,
    SampledColumns,
    SketchedColumns,
)
from ocngame.curvature.diagonal import DiagonalCurvature, RootMeanSquareCurvature
from ocngame.curvature.fictitious import FictitiousPlayers
from ocngame.curvature.full import FullCurvature
from ocngame.curvature.gaussian import GaussianFisher, GaussianNLL, Spread
from ocngame.curvature.gram import GramCurvature, GramOperator
from ocngame.curvature.identity import DampingMetric, IdentityCurvature
from ocngame.curvature.kronecker import EigenKroneckerCurvature, KroneckerCurvature
from ocngame.curvature.loss_hessian import LossHessian
from ocngame.curvature.operators import (
    CurvatureOperator,
    DiagonalOperator,
    EigenOperator,
    FullOperator,
    IdentityOperator,
    KroneckerOperator,
)
from ocngame.curvature.output_hessian import (
    BinaryCrossEntropyHessian,
    CrossEntropyHessian,
    OutputHessian,
    PoissonHessian,
    SquaredErrorHessian,
    output_hessian,
)
from ocngame.curvature.pair import KroneckerPair, PairFactors

__all__ = [
    "BinaryCrossEntropyHessian",
    "ColumnRule",
    "CrossEntropyHessian",
    "Curvature",
    "CurvatureOperator",
    "DampingMetric",
    "DiagonalCurvature",
    "DiagonalOperator",
    "EigenKroneckerCurvature",
    "EigenOperator",
    "ExactColumns",
    "FictitiousPlayers",
    "FullCurvature",
    "FullOperator",
    "GaussianFisher",
    "GaussianNLL",
    "GradientColumn",
    "GramCurvature",
    "GramOperator",
    "IdentityCurvature",
    "IdentityOperator",
    "KroneckerCurvature",
    "KroneckerOperator",
    "KroneckerPair",
    "LossHessian",
    "OutputHessian",
    "PairFactors",
    "PoissonHessian",
    "RootMeanSquareCurvature",
    "SampledColumns",
    "SketchedColumns",
    "Spread",
    "SquaredErrorHessian",
    "State",
    "output_hessian",
    "rule_for",
]
