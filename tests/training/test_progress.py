import logging
import sys

from stainscript.training import progress
from stainscript.training.progress import Progress

ROW = {"train_loss": 0.5, "val_loss": 0.25}


def run_epochs(count, *, shown=True):
    shown_progress = Progress(name="toy fit", epochs=count, start=0, shown=shown)
    for epoch in range(1, count + 1):
        shown_progress.epoch(epoch, ROW)
    shown_progress.close(epoch=count, best_epoch=2)


def test_plain_lines_come_no_more_often_than_asked_and_one_at_the_end(caplog, monkeypatch):
    with caplog.at_level(logging.INFO):
        run_epochs(50)
        assert caplog.messages == ["toy fit: done after 50 of 50 epochs, best at 2"]
        caplog.clear()
        monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.0)
        run_epochs(3)
    assert caplog.messages[0] == "toy fit: epoch 1 of 3, train_loss 0.5, val_loss 0.25"
    assert len(caplog.messages) == 4


def test_a_terminal_gets_a_bar(monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with caplog.at_level(logging.INFO):
        run_epochs(3)
    drawn = capsys.readouterr().err
    assert "toy fit" in drawn
    assert "3/3" in drawn
    assert not any("epoch 1 of" in message for message in caplog.messages)


def test_other_processes_are_silent(caplog, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        run_epochs(3, shown=False)
    assert caplog.messages == []
