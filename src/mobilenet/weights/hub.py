"""Weights from the Hugging Face hub by name: `hf://timm/mobilenetv1_100.ra4_e3600_r224_in1k`."""

import re
from pathlib import Path

from mobilenet.errors import ModelError
from mobilenet.extras import pip_install

__all__ = ["PREFIX", "fetch"]

PREFIX = "hf://"

_NAME = re.compile(r"hf://(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*)(?:/(?P<file>\w[\w./-]*))?", re.ASCII)
_MODEL, _DESCRIPTION = "model.safetensors", "config.json"
_READ = (".safetensors", ".h5", ".hdf5", ".tflite")
"""Files that contain only data and no code; a pickle is never downloaded."""

_TIMEOUT_S = 5


def fetch(name: str) -> Path:
    """`hf://owner/name` or `hf://owner/name/file` -> the file in the hub's cache, with its config.json beside it.

    The default file is `model.safetensors`. ModelError, one line, for an invalid name, an unknown repository, a file
    that is not in the cache while offline, or if `huggingface_hub` is not installed.
    """
    match = _NAME.fullmatch(name)
    if not match or ".." in name:
        raise ModelError(f"{name} is not a name on the hub; use {PREFIX}owner/name or {PREFIX}owner/name/file")
    file = match["file"] or _MODEL
    if not file.endswith(_READ):
        raise ModelError(f"{name} is not a supported file; use one ending in {', '.join(_READ)}")
    repository = f"{match['owner']}/{match['name']}"
    path = _download(name, repository, file)
    if path is None:
        raise ModelError(f"{name}: {repository} has no file {file}; choose one with {PREFIX}{repository}/FILE")
    if file.endswith(".safetensors"):
        folder, _, _ = file.rpartition("/")
        _download(name, repository, f"{folder}/{_DESCRIPTION}".lstrip("/"))
    return path


def _download(name: str, repository: str, file: str) -> Path | None:
    """One file of a repository, from the cache if the hub cannot be reached; None if it does not exist."""
    try:
        from huggingface_hub import errors, hf_hub_download
    except ImportError as error:
        remedy = f"{pip_install('huggingface_hub')}, or download the file and give its path"
        raise ModelError(f"{name} is on the Hugging Face hub, which needs huggingface_hub; {remedy}") from error
    reason = ""
    try:
        reason = _out_of_reach(repository, file)
        return Path(hf_hub_download(repository, file, etag_timeout=_TIMEOUT_S, local_files_only=bool(reason)))
    except errors.LocalEntryNotFoundError as error:
        if file.endswith(_DESCRIPTION):
            return None
        remedy = "go online, or download the file and give its path"
        raise ModelError(f"cannot download {name}, the hub cannot be reached: {reason}; {remedy}") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"{name}: the hub has no model {repository}, or access is denied; check the name") from error
    except errors.EntryNotFoundError:
        return None
    except (OSError, ValueError, errors.HTTPError, errors.XetDownloadError) as error:  # type: ignore[attr-defined]
        remedy = "try again, or give the path of a file"
        raise ModelError(f"cannot download {name}: {_first_line(error)}; {remedy}") from error


def _out_of_reach(repository: str, file: str) -> str:
    """Why the hub cannot be reached, empty if it can; checked first because a download retries for half a minute."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    try:
        get_hf_file_metadata(hf_hub_url(repository, file), timeout=_TIMEOUT_S)
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError):
        raise
    except (errors.HTTPError, ConnectionError) as error:  # type: ignore[attr-defined]
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".") or type(error).__name__
