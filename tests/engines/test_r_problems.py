"""What R printed when something was not installed, in one sentence. The lines are R 4.2's."""

from __future__ import annotations

import pytest

from atoll.engines.local.r_problems import absent, failure, unreachable

CRAN = "https://cran.example.org/2023-01-31"
CONFIGURE = """
begin installing package ‘xml2’
make: *** [Makefile:4: xml2.ts] Error 1
* installing *source* package ‘xml2’ ...
** using staged installation
Configuration failed because libxml-2.0 was not found. Try installing:
 * deb: libxml2-dev (Debian, Ubuntu, etc)
 * rpm: libxml2-devel (Fedora, CentOS, RHEL)
ERROR: configuration failed for package ‘xml2’
* removing ‘/srv/env/lib/R/library/xml2’
* installing *source* package ‘RCurl’ ...
RCurl.h:5:10: fatal error: curl/curl.h: No such file or directory
ERROR: compilation failed for package ‘RCurl’
* installing *source* package ‘gsl’ ...
/usr/bin/ld: cannot find -lgsl: No such file or directory
ERROR: compilation failed for package ‘gsl’
* installing *source* package ‘units’ ...
./configure: line 12: cmake: command not found
ERROR: configuration failed for package ‘units’
* installing *source* package ‘odd’ ...
Error in parse(outFile) :
  /tmp/odd.R:1:5: unexpected symbol
ERROR: unable to collate and parse R files for package ‘odd’
* removing ‘/srv/env/lib/R/library/odd’
ERROR: dependency ‘xml2’ is not available for package ‘rvest’
ERROR: dependencies ‘xml2’, ‘gsl’ are not available for package ‘deep.sea’
ERROR: this R is version 4.2.2, package ‘tide’ requires R >=  4.3
Warning messages:
1: packages ‘nowhere’, ‘later’ are not available for this version of R
‘later’ version 9.1 is in the repositories but depends on R (>= 4.4)
""".splitlines()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "Neither Debian nor CRAN has a package “nowhere” for R 4.2.2"),
        ("later", "“later” needs R (>= 4.4); this is R 4.2.2."),
        ("tide", "“tide” needs R >= 4.3; this is R 4.2.2."),
        ("xml2", "write libxml2-dev into apt.txt"),
        ("RCurl", "curl/curl.h is missing: write the -dev package that has it into apt.txt"),
        ("gsl", "The library gsl is missing: write its -dev package into apt.txt"),
        ("units", "The program cmake is missing"),
        ("odd", "unable to collate and parse R files for package ‘odd’"),
        ("rvest", "“rvest” needs ‘xml2’, which could not be installed."),
        ("deep.sea", "“deep.sea” needs ‘xml2’, ‘gsl’, which could not be installed."),
        ("silent", "“silent” could not be installed. Its lines in the log say why."),
    ],
)
def test_each_package_has_its_own_reason(name, words):
    assert words in absent(name, CONFIGURE, "4.2.2")


def test_why_a_script_ended_is_said_by_its_last_complaint():
    def message(*lines, status=1):
        return failure(lines, status, "install.R", "4.2.2").message

    assert "needs “sf”, which is not installed" in message(
        "Error in library(sf) : there is no package called ‘sf’", "Execution halted"
    )
    assert message("Error in eval(ei, envir) : no tide", "Calls: source", "Execution halted") == (
        "install.R ended with status 1: Error in eval(ei, envir) : no tide."
    )
    assert message(
        "Error: Failed to install 'unknown package' from GitHub:", "  HTTP error 404."
    ) == (
        "install.R ended with status 1: Failed to install 'unknown package' from GitHub: HTTP error 404."
    )
    assert message(status=3) == "install.R ended with status 3."


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        (f"Warning: unable to access index for repository {CRAN}/src/contrib:", True),
        ("Warning: unable to access index for repository https://old.example.org/src/contrib:", False),
        (f"URL '{CRAN}/src/contrib/reef_1.0.tar.gz': status was 'Couldn't connect to server'", True),
        (f"cannot open URL '{CRAN}/src/contrib/reef_1.0.tar.gz': HTTP status was '503 Busy'", True),
        (f"cannot open URL '{CRAN}/src/contrib/reef_1.0.tar.gz': HTTP status was '404 Not Found'", False),
        ("* installing *source* package ‘reef’ ...", False),
    ],
)  # fmt: skip
def test_only_the_cran_of_the_settings_not_answering_is_nobodys_fault(line, lost):
    assert unreachable([line], CRAN) is lost
