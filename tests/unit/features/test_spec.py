import subprocess
import sys

from watchnext.features import spec


def test_a_changed_size_changes_the_hash(monkeypatch):
    before = spec.spec_hash()
    monkeypatch.setattr(spec, "HISTORY", 49)
    assert spec.spec_hash() != before


def test_a_changed_feature_changes_the_hash(monkeypatch):
    before = spec.spec_hash()
    monkeypatch.setattr(spec, "RANKER_FEATURES", (*spec.RANKER_FEATURES[1:], spec.RANKER_FEATURES[0]))
    assert spec.spec_hash() != before


def test_the_hash_is_the_same_in_every_process():
    program = "from watchnext.features.spec import spec_hash; print(spec_hash())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == spec.spec_hash()
