"""One function a rule: open artifacts, call the library, write one artifact. ``job_log`` wraps each as a job."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from stainscript.errors import StainscriptError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send this process's log lines and warnings to the job's log file.

    An error that a user can act on ends the job with its one line, in the log and on stderr; anything else is
    logged with its traceback and raised.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    try:
        yield
    except StainscriptError as error:
        logger.error("%s", error)
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except Exception:
        logger.exception("the job failed")
        raise
    finally:
        handler.close()
        root.removeHandler(handler)
