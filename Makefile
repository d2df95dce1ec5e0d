# make demo                          skeletons on a small scene that the program makes itself
# make demo VIDEO=in.mp4 OUTPUT=out.gif     on a clip of one's own
# make test                          style, a run from a video to a GIF, all tests
# make training                      what training the bundled weights needs besides
# make ray                           what folder runs on many machines need besides

VENV ?= .venv
PYTHON_IN := $(VENV)/bin/python
OUTPUT ?= out.gif
ARGS ?=
export MPLBACKEND ?= Agg
SAMPLE := build/sample.mp4

.PHONY: demo test lint run-sample training ray lock
.DELETE_ON_ERROR:

ifdef VIDEO
demo: $(VENV)/installed
	@$(PYTHON_IN) viz.py --video "$(VIDEO)" --output "$(OUTPUT)" $(ARGS)
	@echo "the skeletons are in $(abspath $(OUTPUT))"
else
demo: $(VENV)/installed $(SAMPLE)
	@$(PYTHON_IN) viz.py --video $(SAMPLE) --output "$(OUTPUT)" $(ARGS)
	@echo "the skeletons are in $(abspath $(OUTPUT))"
endif

# Two threads: the tests compute on small arrays, where more threads wait for each other. The summary of the tests comes last.
test: export OMP_NUM_THREADS ?= 2
test: lint run-sample
	$(PYTHON_IN) -m pytest

lint: $(VENV)/installed
	$(PYTHON_IN) -m ruff check .

run-sample: $(VENV)/installed $(SAMPLE)
	$(PYTHON_IN) viz.py --video $(SAMPLE) --output build/sample.gif --export build/sample.npz --quiet
	test -s build/sample.gif && test -s build/sample.npz

$(SAMPLE): $(VENV)/installed
	@mkdir -p $(@D)
	@$(PYTHON_IN) -m app.sample $@

$(VENV)/installed: requirements.lock .ci/venv
	@.ci/venv $(VENV) requirements.lock
	@touch $@

training: $(VENV)/installed
	.ci/venv $(VENV) requirements-training.txt --no-deps

ray: $(VENV)/installed
	.ci/venv $(VENV) requirements-ray.txt

# Newest versions inside the ranges of pyproject.toml, for Python 3.11, whose versions serve 3.12 and 3.13 too. OpenVINO has no wheel for older Linux
# on aarch64, where PyTorch does its work.
lock:
	rm -rf build/lock && mkdir -p build
	python3 -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print("\n".join(p["dependencies"] + p["optional-dependencies"]["test"]))' > build/ranges.txt
	PYTHON="python3.11 python3" .ci/venv build/lock build/ranges.txt
	(head -1 requirements.lock; python3 -m pip --python build/lock/bin/python freeze --all | grep -v '^pip==' \
		| sed -E '/^(nvidia|cuda|triton)/ s/$$/ ; sys_platform == "linux"/; /^openvino/ s/$$/ ; platform_machine != "aarch64"/') > build/requirements.lock
	mv build/requirements.lock requirements.lock
