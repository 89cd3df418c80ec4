# `make doctor`, or `snakemake --snakefile <repository>/workflow/doctor.smk`: what is missing before a run, with the
# remedy, and what the run will cost. It takes the same --config and --directory as the run. The examination is made
# while this file is read: no job is started, and the exit status is 1 where something is missing, else 0.
import logging
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

REPOSITORY = (Path(workflow.current_basedir) / "..").resolve()
SOURCE = REPOSITORY / "src"
if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))

from stainscript.doctor.examine import examine
from stainscript.doctor.findings import as_text, missing_in


configfile: "config.yaml" if Path("config.yaml").exists() else str(REPOSITORY / "config.yaml")


logging.getLogger("stainscript").addHandler(
    logging.NullHandler()
)  # what is logged is among the findings
chapters = examine(config, repository=REPOSITORY)
sys.stdout.write(as_text(chapters))
sys.stdout.flush()
sys.exit(1 if missing_in(chapters) else 0)
