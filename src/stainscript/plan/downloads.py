"""Jobs of ``rules/download.smk``: published files → a dataset's root."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stainscript.datasets.base import read_sheet
from stainscript.downloads.sources import Source, read, wanted
from stainscript.errors import DataContractError
from stainscript.plan import paths
from stainscript.plan.base import PlanBase
from stainscript.plan.cohorts import locate


class DownloadJobs(PlanBase):
    """Jobs of ``rules/download.smk``: published files → a dataset's root."""

    def download_records(self) -> list[str]:
        """One record a file of the datasets that ``download`` names. Asked for by that target alone."""
        if not self.config.download:
            raise DataContractError(
                "config.yaml",
                "download",
                expected="the datasets to fetch",
                found="none",
                remedy="name them: --config 'download=[her2st]' 'datasets={her2st: {root: /path}}'",
            )
        return [paths.downloaded(name, source.key) for name in self.config.download for source in self._sources(name)]

    def download_params(self, w: Any) -> dict[str, Any]:
        """No digest of code: what was fetched and checked is not fetched again because a program changed."""
        source = next(source for source in self._sources(w.dataset) if source.key == w.file)
        return {"dataset": w.dataset, "root": str(self._target(w.dataset)), "source": asdict(source)}

    def _sources(self, dataset: str) -> list[Source]:
        """Files of the sheet's slides; a slide need not be here yet, so cohorts are not asked."""
        self._target(dataset)
        chosen = self.config.datasets[dataset]
        rows = [
            row
            for row in read_sheet(locate(chosen.sheet, self.repository))
            if row["slide"] not in chosen.exclude and all(row[name] == cell for name, cell in chosen.only.items())
        ]
        manifest = chosen.downloads or f"workflow/sheets/downloads/{Path(chosen.sheet).name}"
        return wanted(read(locate(manifest, self.repository)), slides=rows)

    def _target(self, dataset: str) -> Path:
        chosen = self.config.datasets[dataset]
        if chosen.root is None or chosen.generator is not None:
            raise DataContractError(
                "config.yaml",
                f"datasets.{dataset}.root",
                expected="the folder to fetch into",
                found="null" if chosen.generator is None else f"a dataset that {chosen.generator} draws",
                remedy=f"pass --config 'datasets={{{dataset}: {{root: /path}}}}'",
            )
        return Path(chosen.root).expanduser()
