import pickle

import pytest

from ocngame import errors


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n != "OcnGameError"])
def test_every_error_is_an_ocngame_error(name):
    assert issubclass(getattr(errors, name), errors.OcnGameError)


def test_errors_are_also_the_builtin_that_a_caller_would_catch():
    assert issubclass(errors.UnknownNameError, ValueError)
    assert issubclass(errors.InvalidInputError, ValueError)
    assert issubclass(errors.UnsupportedModuleError, TypeError)
    assert issubclass(errors.NonFiniteError, ArithmeticError)


def test_unknown_name_gives_near_matches():
    error = errors.UnknownNameError("curvature", "kroneker", ["identity", "kronecker"])
    assert str(error) == "curvature: unknown name 'kroneker'; did you mean 'kronecker'?"


def test_unknown_name_without_a_near_match_lists_all():
    error = errors.UnknownNameError("data", "xyz", ["moons", "digits"])
    assert str(error) == "data: unknown name 'xyz'; known: digits, moons"


def test_of_very_many_names_the_first_are_listed():
    error = errors.UnknownNameError("data", "xyz", [f"set{i:03}" for i in range(100)])
    assert error.near == []
    assert str(error).endswith("set038, set039 and 60 more")


def test_unknown_name_survives_a_process_boundary():
    error = errors.UnknownNameError("data", "digit", ["digits"])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.argument, again.name, again.known) == ("data", "digit", ("digits",))
