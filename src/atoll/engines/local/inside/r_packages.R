# Installs R packages in the box of a build: its first argument says which way, the others what.
#
#   script FILE               runs an install.R; Debian's packages are not installed over
#   locked NAME=VERSION ...   these versions, from the snapshot or its archive
#   needs "NAME >= 1.0" ...   these, where they are not there yet
#   remotes | package         what DESCRIPTION says is elsewhere; what it is about itself
#   restore NAME ...          these of the renv.lock, by renv
#   list                      says what is in the environment's library
#
# What could not be installed is written to /srv/out/r-absent, one name a line.

words <- commandArgs(trailingOnly = TRUE)
way <- words[1]
words <- words[-1]
ours <- .libPaths()[1]
options(Ncpus = min(4L, parallel::detectCores())) # more would want more memory than builds have

version_of <- function(name, where = .libPaths()) {
  tryCatch(as.character(packageVersion(name, where)), error = function(problem) "")
}

absent <- function(names) {
  names <- names[!nzchar(vapply(names, version_of, ""))]
  cat(sprintf("%s\n", names), file = "/srv/out/r-absent", sep = "", append = TRUE)
  names
}

# In place of utils', for plain calls: what the system has, in /usr, is not installed again.
install <- function(pkgs, lib, ...) {
  if (missing(pkgs) || !missing(lib) || !is.character(pkgs)) {
    return(utils::install.packages(pkgs, lib, ...))
  }
  system <- vapply(pkgs, version_of, "", where = setdiff(.libPaths(), ours))
  for (name in pkgs[nzchar(system)]) message(name, ": the system's ", system[[name]], " is taken")
  rest <- pkgs[!nzchar(system)]
  if (length(rest)) {
    utils::install.packages(rest, ...)
    absent(grep("^[A-Za-z][A-Za-z0-9.]+$", rest, value = TRUE))
  }
  invisible(NULL)
}

run_script <- function(file) {
  attach(list(install.packages = install), name = "atoll", warn.conflicts = FALSE)
  source(file, print.eval = TRUE, keep.source = FALSE, encoding = "UTF-8")
}

meets <- function(need) {
  parts <- strsplit(need, " ", fixed = TRUE)[[1]]
  version <- version_of(parts[1])
  nzchar(version) &&
    (length(parts) == 1 || do.call(sub("^=$", "==", parts[2]), list(package_version(version), parts[3])))
}

install_needs <- function(needs) {
  unmet <- function() needs[!vapply(needs, meets, NA)]
  names_of <- function(needs) unique(sub(" .*", "", needs))
  if (length(unmet())) utils::install.packages(names_of(unmet()))
  left <- unmet()
  for (need in left) {
    there <- version_of(sub(" .*", "", need))
    if (nzchar(there)) message("ERROR: ", need, " is needed, and ", there, " is there")
  }
  cat(sprintf("%s\n", names_of(left)), file = "/srv/out/r-absent", sep = "")
  quit(status = as.integer(length(left) > 0))
}

fetch <- function(name, version, into) {
  file <- sprintf("%s_%s.tar.gz", name, version)
  for (contrib in contrib.url(getOption("repos"), "source")) {
    for (url in paste0(contrib, c("/", sprintf("/Archive/%s/", name)), file)) {
      got <- tryCatch(
        utils::download.file(url, file.path(into, file), quiet = TRUE, mode = "wb"),
        error = function(problem) 1L, warning = function(problem) {
          message(conditionMessage(problem))
          1L
        }
      )
      if (got == 0L) return(file.path(into, file))
    }
  }
  message("ERROR: CRAN has no ", name, " ", version)
  ""
}

needs_of <- function(file) {
  name <- sub("_.*", "", basename(file))
  place <- tempfile()
  utils::untar(file, files = file.path(name, "DESCRIPTION"), exdir = place)
  told <- read.dcf(file.path(place, name, "DESCRIPTION"), c("Depends", "Imports", "LinkingTo"))
  trimws(sub("\\(.*", "", unlist(strsplit(gsub("\\([^)]*\\)", "", told[!is.na(told)]), ","))))
}

install_locked <- function(wanted) {
  parts <- strsplit(wanted, "=", fixed = TRUE)
  versions <- setNames(vapply(parts, `[`, "", 2), vapply(parts, `[`, "", 1))
  there <- function(name) {
    version <- version_of(name)
    nzchar(version) && package_version(version) == versions[[name]]
  }
  left <- Filter(Negate(there), names(versions))
  into <- tempfile()
  dir.create(into)
  files <- vapply(left, function(name) fetch(name, versions[[name]], into), "")
  needs <- lapply(files[nzchar(files)], needs_of)
  left <- names(needs)
  while (length(left)) { # first what needs none of those that are still to come
    ready <- Filter(function(name) !any(needs[[name]] %in% left), left)
    if (!length(ready)) ready <- left
    for (name in ready) utils::install.packages(files[[name]], repos = NULL, type = "source")
    left <- setdiff(left, ready)
  }
  left <- Filter(Negate(there), names(versions))
  cat(sprintf("%s\n", left), file = "/srv/out/r-absent", sep = "")
  quit(status = as.integer(length(left) > 0))
}

install_package <- function() {
  name <- read.dcf("DESCRIPTION", "Package")[[1]]
  if (!file.exists("NAMESPACE")) {
    message("There is no NAMESPACE: what ", name, " needs is installed, and it is not.")
  } else {
    utils::install.packages(".", repos = NULL, type = "source", INSTALL_opts = "--clean")
    quit(status = length(absent(name)))
  }
}

restore <- function(names) {
  options(renv.consent = TRUE)
  renv::restore(project = tempdir(), library = .libPaths(), lockfile = "/srv/spec/renv.lock",
                packages = names, repos = getOption("repos"), prompt = FALSE)
  quit(status = as.integer(length(absent(names)) > 0))
}

list_installed <- function() {
  found <- installed.packages(ours)[, c("Package", "Version"), drop = FALSE]
  cat(sprintf("%s %s\n", found[, 1], found[, 2]), file = "/srv/out/r-installed", sep = "")
}

switch(way,
  script = run_script(words),
  locked = install_locked(words),
  needs = install_needs(words),
  remotes = remotes::install_deps(".", dependencies = NA, upgrade = "never"),
  package = install_package(),
  restore = restore(words),
  list = list_installed()
)
