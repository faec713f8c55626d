"""Sending an exported model to the Hugging Face hub, so that others get the folder that ``load_model`` takes."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import SpecError, WeightsError
from ...model.released.exported import MODEL_JSON, read_checkpoint, read_exported_weights
from ...model.released.table import Checkpoint


def upload_model(folder: str | os.PathLike[str], repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload ``model.json``, the weights and a model card, and return the address of the commit.

    ``folder`` is of an exported model, checked before anything is sent; ``repo`` is ``"user/name"``, made (as a private one if
    ``private``) if it does not exist. ``token`` is otherwise the one of ``hf auth login`` or of the environment's ``HF_TOKEN``.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    folder = Path(folder)
    try:
        validate_repo_id(repo)
        if not repo.partition("/")[2]:
            raise HFValidationError
    except HFValidationError:
        raise SpecError(
            f"a repository of the hub is written 'user/name', in letters, digits, '-', '_' and '.'; got {repo!r}"
        ) from None
    checkpoint = read_checkpoint(folder)
    read_exported_weights(checkpoint)
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    operations = [
        CommitOperationAdd("README.md", model_card(checkpoint, repo).encode()),
        CommitOperationAdd(MODEL_JSON, folder / MODEL_JSON),
        CommitOperationAdd(checkpoint.filename, folder / checkpoint.filename),
    ]
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.create_commit(repo, operations, commit_message=f"{checkpoint.name}, from bltvs_neuro")
    except Exception as error:  # the client's own errors, and those of the HTTP library that its version uses
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"cannot upload to {repo}: {type(error).__name__}: {said[:300]}. Log in with `hf auth login`, or set HF_TOKEN"
        ) from error
    return str(commit.commit_url)


def model_card(checkpoint: Checkpoint, repo: str) -> str:
    """Return the README of a hub's repository, with the metadata that the hub reads."""
    rows = [f"| {at} | {accuracy:.1f} |" for at, accuracy in enumerate(checkpoint.accuracies)]
    accuracies = ["| output | top-1 accuracy (%) |", "|---|---|", *rows, ""] if rows else []
    return "\n".join(
        [
            "---", "library_name: bltvs_neuro", "tags: [image-classification, recurrent, visual-neuroscience]", "---", "",
            f"# {checkpoint.name}", "", checkpoint.description, "", *accuracies,
            f"sha256 of {checkpoint.filename}: {checkpoint.file_sha256}", "", "```python", "import bltvs_neuro as bn",
            "from huggingface_hub import snapshot_download", "", f'model = bn.load_model(snapshot_download("{repo}"))',
            "```", "",
        ]
    )  # fmt: skip
