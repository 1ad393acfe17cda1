# Sourced by the scripts that get something from PyPI; needs $tmp, a folder that is deleted afterwards.

# Defines `pip`. Debian splits it off from Python, so it may have to be found, or borrowed: from Python's own copy,
# or from Debian's package, which is unpacked in a temporary folder and not installed.
find_pip() {
    if python3 -m pip --version; then
        pip() { python3 -m pip "$@"; }
    elif python3 -m venv "$tmp/venv"; then
        pip() { "$tmp/venv/bin/python" -m pip "$@"; }
    elif (cd "$tmp" && apt-get download python3-pip-whl && dpkg-deb -x python3-pip-whl*.deb deb); then
        pip() { PYTHONPATH=$(echo "$tmp"/deb/usr/share/python-wheels/pip-*.whl) python3 -m pip "$@"; }
    else
        return 1
    fi
}

# Settings of the user that contradict --target are switched off.
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1
