"""What strangers' notebooks and scripts import, however they are written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.environments.imports import cells_of, imports_of, propose


def notebook(*cells, **metadata):
    code = [{"cell_type": "code", "source": cell} for cell in cells]
    return json.dumps({"cells": code, "metadata": metadata, "nbformat": 4}).encode()


def packages(*cells, paths=("a.ipynb",), **metadata):
    found = propose([("a.ipynb", notebook(*cells, **metadata))], paths)
    return sorted(found.packages) if found else []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import numpy as np, pandas as pd; import six", ["numpy", "pandas", "six"]),
        ("from sklearn.svm import (SVC,\n  SVR)\n", ["scikit-learn"]),
        ("from keras.datasets import mnist", ["keras"]),  # the other table says keras-resnet
        ("if True:\n    import cv2\n", ["opencv-python-headless"]),
        ("try: import PIL\nexcept ImportError: pass", ["pillow"]),
        ("def f():\n  from bs4 import BeautifulSoup as b\n", ["beautifulsoup4"]),
        ("import os, sys, urllib2, distutils.core\nfrom __future__ import print_function", []),
        ("from . import x\nfrom .y import z\nfrom .. import w", []),
        ("from google.cloud import storage", ["google-cloud-storage"]),
        ("import google.protobuf.text_format as t", ["protobuf"]),
        ("from google.colab import drive\nimport google.nothing", []),
        ("from mpl_toolkits.mplot3d import Axes3D", ["matplotlib"]),
        ("import skimage.io, yaml, Bio.SeqIO", ["biopython", "pyyaml", "scikit-image"]),
        ("import umap, serial, jwt", ["pyjwt", "pyserial", "umap-learn"]),
        ("'''\nimport nothing\n'''\nx = 'import nothing'\n# import nothing", []),
        ("important = 1; from_x = 2; imports(1)", []),
        ("import IPython.display, ipykernel", []),
        ("import numpy_, _x, __y__", []),
        ("print 'Python 2'\nexec 'x'\nimport numpy", ["numpy"]),
    ],
)
def test_what_is_imported_is_found_by_its_packages_name(code, found):
    assert packages(code) == found


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("%matplotlib inline\nimport numpy", ["numpy"]),
        ("!pip install x\nfiles = !ls -l\nx = %time y\nimport numpy", ["numpy"]),
        ("numpy.array?\nhelp??\nimport numpy", ["numpy"]),
        ("if True:\n    !ls\n    import numpy", ["numpy"]),
        ("%%time\nimport numpy", ["numpy"]),
        ("%%bash\nimport numpy", []),
        ("%%R -i x\nimport numpy", []),
        ("(\nimport seaborn", []),
    ],
)
def test_what_only_ipython_understands_is_passed_over(cell, found):
    assert packages(cell) == found
    assert packages("import pandas", cell) == sorted([*found, "pandas"])  # cells are apart


def test_the_repositorys_own_modules_are_no_packages():
    cell = "import helpers, src.tools, lib, numpy"
    paths = ["a.ipynb", "code/helpers.py", "src/tools.py", "lib/__init__.py", "numpy/data.csv"]
    assert packages(cell, paths=paths) == ["numpy"]


@pytest.mark.parametrize(
    "metadata", [{"kernelspec": {"language": "R"}}, {"language_info": {"name": "julia"}}]
)
def test_notebooks_of_other_languages_import_nothing(metadata):
    assert packages("import numpy", **metadata) == []


def test_old_notebooks_and_scripts_are_read():
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["import ", "numpy"]}]}]}
    files = [("a.ipynb", json.dumps(old).encode()), ("b.py", b"import pandas\n")]
    assert sorted(propose(files, ["a.ipynb", "b.py"]).packages) == ["numpy", "pandas"]


def test_the_proposal_is_a_requirements_file_that_says_why():
    found = propose([("b.py", b"import sklearn.svm, numpy, scipy")], ["b.py"])
    assert found.text.splitlines() == [
        "# What the notebooks and scripts here import, as Atoll read it. Check it.",
        "numpy",
        "scikit-learn  # imported as sklearn",
        "scipy",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\0",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"cells": 7}',
        b'{"cells": [7, null, {"cell_type": "code", "source": 7}]}',
        b'{"cells": [], "metadata": []}',
        b'{"worksheets": [1]}',
        b'{"nbformat": ' + b"9" * 100_000 + b"}",
    ],
    ids=range(10),
)
def test_a_broken_notebook_has_no_cells(body):
    assert cells_of(body) == []


HOSTILE = {
    "parentheses": "(" * 50_000,
    "minus": "-" * 50_000 + "1",
    "dots": "x" + ".a" * 50_000,
    "quotes": "'" * 50_001,
    "tabs": "\t \t" * 9,
    "nul": "\0",
    "indents": "if 1:\n" + " " * 9999 + "x\n  y",
    "spaces": " " * 100_000 + "?",
    "assignments": "a = " * 50_000,
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE)
def test_code_that_is_made_to_break_parsers_breaks_nothing(code):
    assert imports_of(code) == set()
    assert imports_of(f"import numpy\n{code}") == {"numpy"}
    assert packages("import numpy", f"import numpy\n{code}") == ["numpy"]


@given(st.text())
def test_any_text_is_read_in_peace(text):
    for name in imports_of(text):
        assert name.replace(".", "").replace("_", "").isalnum()


def test_of_very_much_code_only_the_first_part_is_read():
    files = [("a.py", b"import numpy\n"), ("b.py", b"import pandas\n" * 100_000)]
    assert sorted(propose(files, []).packages) == ["numpy"]
