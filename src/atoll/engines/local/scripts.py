"""Scripts: what is run in the boxes of a build; `steps` says which box runs which, and why."""

from __future__ import annotations

RESOLVE = """
set -e
if [ -n "$EXPORT" ]; then
  "$UV" export --quiet --frozen --no-emit-project --no-header --python "$PYTHON" \\
    --output-file /tmp/exported.in > /dev/null
fi
if [ -n "$NEW" ]; then
  { "$UV" venv --quiet --relocatable --allow-existing --python "$PYTHON" "$NEW" ||
    rm -f "$NEW/pyvenv.cfg"; } > /dev/null 2>&1 &
fi
status=0
"$UV" pip compile --python "$PYTHON" --format pylock.toml --output-file /srv/out/pylock.toml \\
  --no-header --no-annotate "$@" > /dev/null || status=$?
wait
exit $status
"""
# A line that `site` runs: what a person adds with pip goes to their home, since environments are
# shared and read-only, and is found before what the environment has, as a user site would be.
HOME_PACKAGES = (
    "import os, site, sys; "
    "p = os.path.expanduser('~/.local/lib/python%d.%d/site-packages' % sys.version_info[:2]); "
    "os.path.isdir(p) and (site.addsitedir(p), sys.path.remove(p), sys.path.insert("
    "next((i for i, q in enumerate(sys.path) if q.endswith('site-packages')), len(sys.path)), p))"
)
# uv remembers what it has heard of a Python by its path, so that it need not start every new one.
INSTALL = """
set -e
ln -s "$1" /tmp/env; env=/tmp/env; pins=$2; kernel=$3; mode=$4
[ -e "$env/pyvenv.cfg" ] ||
  "$UV" venv --quiet --relocatable --allow-existing --python "$PYTHON" "$env"
if [ -s "$pins" ]; then
  "$UV" pip sync --no-build --link-mode "$mode" --python "$env/bin/python" "$pins"
fi
for site in "$env"/lib/python3*/site-packages; do
  printf '%s\\n' "$HOME_PACKAGES" > "$site/zz-atoll-home.pth"
done
if [ -s "$kernel" ]; then
  "$UV" pip install --no-deps --no-build --link-mode "$mode" --python "$env/bin/python" \\
    --target "$env/share/atoll-kernel" --requirements "$kernel"
  for site in "$env"/lib/python3*/site-packages; do
    echo /srv/env/share/atoll-kernel > "$site/zz-atoll-kernel.pth"
  done
fi
"""
KERNELSPEC = """
mkdir -p "$1/share/jupyter/kernels/python3"
rm -f "$1/share/jupyter/kernels/python3/kernel.json"
module=ipykernel
for launcher in "$1"/lib/python3*/site-packages/ipykernel_launcher.py \
    "$1"/share/atoll-kernel/ipykernel_launcher.py; do
  [ ! -e "$launcher" ] || module=ipykernel_launcher  # those before 4.6 have none
done
cat > "$1/share/jupyter/kernels/python3/kernel.json" << END
{
 "argv": ["/srv/env/bin/python", "-m", "$module", "-f", "{connection_file}"],
 "display_name": "Python 3 (ipykernel)",
 "language": "python",
 "metadata": {"debugger": true}
}
END
"""
BUILD = """
set -e
"$UV" pip sync --preview-features pylock --link-mode copy --python /srv/env/bin/python \\
  "$@" /srv/spec/pylock.toml
"""
POST_BUILD = """
chmod +x "$1"
case "$(head -c 2 "$1")" in
  '#!') exec "./$1" ;;
  *) exec bash "./$1" ;;
esac
"""
