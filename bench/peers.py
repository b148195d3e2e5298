#!/usr/bin/env python3
"""Ingot beside ONNX Runtime and OpenVINO, in one run: ./dev bench peers [--models PATTERN,...] [--rounds N] [--json FILE]

All run in this process, called through their libraries, in f32, on the same inputs (the first data set of each model, or
random numbers of one seed), with the same extents fixed. A round is a block of runs of each in turn; the order
rotates with every round, so that all see the same neighbours and clock. A figure is the median over the rounds of a
block's mean; the ratio is Ingot's time over that of the fastest peer that is right: the median of the rounds' ratios.
With one thread, time is that of the thread on the CPU, since machines are shared; with more, wall time. Calls cost Ingot
(ctypes) and the peers (bound buffers) a few microseconds each: models below 0.1 ms measure these. Differences under 7 %
are ties.

What is missing (the peer, a model, an operator) is a row with the reason, never a silent gap. The JSON has no date and no
order that changes, so that two runs differ in their figures only.
"""
import argparse
import ctypes
import fnmatch
import importlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report

ROOT = Path(__file__).resolve().parent.parent
BLOCK_SECONDS = 0.15
BLOCK_LEAST_RUNS = 3
TIE = 0.07
WRONG = 0.05  # of the largest value: a peer that is further off the unoptimised reference does not count (8-bit models differ by 4 %)
COMPILE_TIMEOUT_S = 600

PEERS = ["onnxruntime", "openvino"]
# In this order; each folder of FOLDER that has a model.onnx is a model.
FOLDERS = ["topologies", "suites/light", "models"]
# Extents of random inputs, where the data set has others than the ones to be measured.
RANDOM_INPUTS = {"bert_base": {"input_ids": [1, 128], "attention_mask": [1, 128], "token_type_ids": [1, 128]}}


class Skip(Exception):
    """Why a row has no figures."""


def import_module(build, name):
    """A Python package, from the environment or from BUILD/peers, installed there where possible."""
    peers = build / "peers"
    if str(peers) not in sys.path:
        sys.path.append(str(peers))
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"installing {name} into {peers}", file=sys.stderr)
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(peers), name],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"{name} is not installed, and pip could not: " + (done.stderr.strip().splitlines() or ["?"])[-1]) from None
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise Skip(f"{name} cannot be imported: {e}") from e


# ---- test data: TensorProto without the onnx package ----

def fields(data):
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield key >> 3, data[at:at + size]
            at += size
        elif kind == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            raise Skip("an input is not a TensorProto")


def read_tensor(np, path):
    """(name, array)"""
    types = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
             10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64}
    dims, dtype, name, raw, values = [], 0, "", None, []

    def signed(v):
        return v - (1 << 64) if v >= 1 << 63 else v

    def packed(value):
        if isinstance(value, int):
            return [signed(value)]
        out, at = [], 0
        while at < len(value):
            v = shift = 0
            while True:
                v |= (value[at] & 127) << shift
                shift += 7
                at += 1
                if value[at - 1] < 128:
                    break
            out.append(signed(v))
        return out

    for field, value in fields(path.read_bytes()):
        if field == 1:
            dims += packed(value)
        elif field == 2:
            dtype = value
        elif field == 4:
            values += np.frombuffer(value, np.float32).tolist()
        elif field in (5, 7, 11):
            values += packed(value)
        elif field == 10:
            values += np.frombuffer(value, np.float64).tolist()
        elif field == 8:
            name = value.decode()
        elif field == 9:
            raw = value
    if dtype not in types:
        raise Skip(f"{path.name} has the element type {dtype}, which this script does not read")
    if raw is not None:
        return name, np.frombuffer(raw, types[dtype]).reshape(dims).copy()
    if dtype == 10:
        return name, np.array(values, np.uint16).view(np.float16).reshape(dims)
    return name, np.array(values, types[dtype]).reshape(dims)


def gather_inputs(np, name, folder, ports):
    """By port name: the random ones named above, else the first data set's."""
    if name in RANDOM_INPUTS:
        rng = np.random.default_rng(1)
        return {p.name: (np.ones(RANDOM_INPUTS[name][p.name], np.int64) if "mask" in p.name else
                         rng.integers(0, 2 if "type" in p.name else 30000, RANDOM_INPUTS[name][p.name], np.int64))
                for p in ports}
    if folder.suffix == ".onnx":  # the digits that the project draws itself
        return {ports[0].name: np.load(folder.parent / "sample_7.npy")}
    sets = sorted(folder.glob("test_data_set_*"))
    if not sets:
        rng = np.random.default_rng(1)
        if any(p.type != "tensor(float)" for p in ports):
            raise Skip("no data set, and inputs that are not f32")
        return {p.name: rng.standard_normal([d if isinstance(d, int) else 1 for d in p.shape], np.float32) for p in ports}
    inputs = {}
    by_name = {p.name: p for p in ports}
    for index, port in enumerate(ports):
        path = sets[0] / f"input_{index}.pb"
        if not path.exists():
            raise Skip(f"the data set has no {path.name}")
        stored, value = read_tensor(np, path)
        port = by_name.get(stored, port)
        inputs[port.name] = value.reshape(()) if not port.shape and value.size == 1 else value
    return inputs


# ---- Ingot, through the C interface of its runtime ----

class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("size_bytes", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("threads", ctypes.c_int32),
                ("reserved", ctypes.c_int32), ("memory_limit_bytes", ctypes.c_int64), ("time_limit_ms", ctypes.c_int64),
                ("parallel_for", ctypes.c_void_p), ("parallel_user", ctypes.c_void_p), ("trace", ctypes.c_void_p),
                ("trace_user", ctypes.c_void_p)]


class Ingot:
    def __init__(self, np, library, path, threads):
        self.np, self.lib = np, library
        self.model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(library.ingot_model_load(os.fsencode(path), None, ctypes.byref(self.model)))
        options = SessionOptions(size_bytes=ctypes.sizeof(SessionOptions), threads=threads)
        self.check(library.ingot_session_create(self.model, ctypes.byref(options), ctypes.byref(self.session)))

    def __del__(self):
        self.lib.ingot_session_free(self.session)
        self.lib.ingot_model_free(self.model)

    @staticmethod
    def load_library(path):
        lib = ctypes.CDLL(str(path))
        lib.ingot_last_error.restype = ctypes.c_char_p
        lib.ingot_version.restype = ctypes.c_char_p
        lib.ingot_session_run.argtypes = [ctypes.c_void_p]
        for f in ("ingot_session_free", "ingot_model_free", "ingot_model_output_count"):
            getattr(lib, f).argtypes = [ctypes.c_void_p]
        lib.ingot_model_find_input.argtypes = lib.ingot_model_find_output.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        return lib

    def check(self, status):
        if status != 0:
            raise Skip("ingot: " + self.lib.ingot_last_error().decode())

    def bind(self, inputs):
        kinds = {"i": 0, "u": 1, "f": 2, "b": 6}
        for name, value in inputs.items():
            value = value.copy(order="C")
            shape = (ctypes.c_int64 * max(value.ndim, 1))(*value.shape)
            tensor = DLTensor(value.ctypes.data, 1, 0, value.ndim, kinds[value.dtype.kind], value.dtype.itemsize * 8, 1, shape, None, 0)
            index = self.lib.ingot_model_find_input(self.model, name.encode())
            if index < 0:
                raise Skip(f"ingot: no input '{name}'")
            self.check(self.lib.ingot_session_set_input(self.session, index, ctypes.byref(tensor)))

    def run(self):
        if self.lib.ingot_session_run(self.session) != 0:
            raise Skip("ingot: " + self.lib.ingot_last_error().decode())

    def output(self, name):
        """None where it is no tensor of numbers."""
        index = self.lib.ingot_model_find_output(self.model, name.encode())
        tensor = ctypes.POINTER(DLTensor)()
        if index < 0 or self.lib.ingot_session_get_output(self.session, index, ctypes.byref(tensor)) != 0:
            return None
        t = tensor.contents
        if t.bits < 8 or t.code not in (0, 1, 2, 6):
            return None
        dtype = self.np.dtype("?" if t.code == 6 else "iuf"[t.code] + str(t.bits // 8))
        dims = [t.shape[k] for k in range(t.ndim)]
        size = math.prod(dims) * dtype.itemsize
        if size == 0:
            return self.np.zeros(dims, dtype)
        return self.np.frombuffer(ctypes.string_at(t.data + t.byte_offset, size), dtype).reshape(dims)


class OnnxRuntime:
    def __init__(self, ort, path, inputs, dims, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, extent in dims.items():
            options.add_free_dimension_override_by_name(name, extent)
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        for name, value in inputs.items():
            self.binding.bind_cpu_input(name, value)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def outputs(self):
        names = [o.name for o in self.session.get_outputs()]
        return {name: value.numpy() for name, value in zip(names, self.binding.get_outputs()) if value.is_tensor()}


class OpenVino:
    def __init__(self, openvino, path, inputs, dims, threads):
        core = openvino.Core()
        model = core.read_model(str(path))
        if dims:
            model.reshape({port.any_name: list(inputs[port.any_name].shape) for port in model.inputs if port.any_name in inputs})
        self.model = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads,
                                                       "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1})
        self.request = self.model.create_infer_request()
        for name, value in inputs.items():
            self.request.set_tensor(name, openvino.Tensor(value))

    def run(self):
        self.request.infer()

    def outputs(self):
        return {name: self.request.get_tensor(port).data for port in self.model.outputs for name in port.names}


# ---- measuring ----

def block(run, count):
    """(CPU seconds, wall seconds) of one run, the mean of `count`."""
    wall, cpu = time.perf_counter(), time.thread_time() if THREADS == 1 else time.process_time()
    for _ in range(count):
        run()
    clock = time.thread_time() if THREADS == 1 else time.process_time()
    return (clock - cpu) / count, (time.perf_counter() - wall) / count


def runs_per_block(run):
    run()
    seconds = max(block(run, 1)[1], 1e-7)
    if seconds * 10 < BLOCK_SECONDS:
        seconds = max(block(run, 10)[1], 1e-7)
    return max(BLOCK_LEAST_RUNS, round(BLOCK_SECONDS / seconds))


def largest_difference(np, ours, expected_outputs):
    """Over all outputs that are tensors of numbers: the largest |difference| over the largest |value| of an output."""
    worst = None
    for name, expected in expected_outputs.items():
        got = ours(name)
        if got is None or expected.dtype.kind not in "fiub":
            continue
        if got.shape != expected.shape:
            return math.inf
        if expected.size:
            g, e = got.astype(np.float64), expected.astype(np.float64)
            same = (g == e) | (np.isnan(g) & np.isnan(e))
            difference = np.where(same, 0, np.abs(g - e)).max()
            difference /= max(np.abs(e[np.isfinite(e)]).max(initial=0), 1e-30)
            worst = max(worst or 0, float(difference) if np.isfinite(difference) else math.inf)
    return worst


def start_peer(module, name, model, inputs, dims):
    try:
        peer = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}[name](module, model, inputs, dims, THREADS)
        peer.run()
        return peer
    except Exception as e:  # noqa: BLE001: whatever the library raises is the row's reason
        raise Skip(f"{name}: " + (str(e).strip().splitlines() or [type(e).__name__])[0]) from e


def measure(np, modules, library, args, name, folder, scratch):
    ort = modules["onnxruntime"]
    model = folder if folder.suffix == ".onnx" else folder / "model.onnx"
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        plain = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        ports = plain.get_inputs()
        inputs = gather_inputs(np, name, folder, ports)
        expected = dict(zip([o.name for o in plain.get_outputs()], plain.run(None, inputs)))
        expected = {n: v for n, v in expected.items() if isinstance(v, np.ndarray)}
    except Skip:
        raise
    except Exception as e:  # noqa: BLE001
        raise Skip("the reference (onnxruntime without optimisation): " + str(e).splitlines()[0]) from e
    dims = {}
    for p in ports:
        if p.name in inputs and not args.dynamic and len(p.shape) == inputs[p.name].ndim:
            dims.update({d: e for d, e in zip(p.shape, inputs[p.name].shape) if isinstance(d, str)})
    compiled = scratch / "model.ingot"
    command = [str(args.ingot), "compile", str(model), "-o", str(compiled), "--target", args.target, "--json"]
    for dim, extent in dims.items():
        command += ["--dim", f"{dim}={extent}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Skip(f"ingot: compiling took more than {COMPILE_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise Skip("ingot: " + (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0])
    report = json.loads(done.stdout)
    ours = Ingot(np, library, compiled, THREADS)
    ours.bind(inputs)
    ours.run()
    row = {"difference": largest_difference(np, ours.output, expected), "compile_s": round(report["seconds"], 3), "dims": dims,
           "compile_peak_bytes": report.get("peak_memory_bytes"), "file_bytes": compiled.stat().st_size}
    sides = {"ingot": ours.run}
    for peer_name, module in modules.items():
        if isinstance(module, Skip):
            continue
        try:
            peer = start_peer(module, peer_name, model, inputs, dims)
            error = largest_difference(np, peer.outputs().get, expected)
            if error is not None and error > WRONG:
                row[peer_name] = {"skipped": f"wrong: {error:.1e}"}
            else:
                sides[peer_name] = peer.run
        except Skip as e:
            row[peer_name] = {"skipped": str(e)}
    counts = {side: runs_per_block(run) for side, run in sides.items()}
    times = {side: [] for side in sides}
    order = list(sides)
    for k in range(args.rounds):
        for side in order[k % len(order):] + order[:k % len(order)]:
            times[side].append(block(sides[side], counts[side]))
    which = 0 if THREADS == 1 else 1
    for side in sides:
        row[side] = {"cpu_ms": statistics.median(t[0] for t in times[side]) * 1e3,
                     "wall_ms": statistics.median(t[1] for t in times[side]) * 1e3, "runs_per_round": counts[side]}
        row[side]["ms"] = row[side]["wall_ms" if which else "cpu_ms"]
    peers = [side for side in order if side != "ingot"]
    if peers:
        best = min(peers, key=lambda side: row[side]["ms"])
        ratios = [a[which] / b[which] for a, b in zip(times["ingot"], times[best])]
        row.update(best=best, ratio=statistics.median(ratios), ratio_range=[min(ratios), max(ratios)])
    if args.kernels:
        row.update(profile(np, args, compiled, inputs, scratch))
    return row


def profile(np, args, compiled, inputs, scratch):
    """Kernels and the machine's peak in the same minute, by the command."""
    command = [str(args.ingot), "bench", str(compiled), "--per-kernel", "--json", "--min-time", "0.2", "--threads", str(THREADS)]
    for k, (name, value) in enumerate(inputs.items()):
        np.save(scratch / f"input_{k}.npy", value)
        command += ["--input", f"{name}={scratch / f'input_{k}.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_TIMEOUT_S)
    if done.returncode != 0:
        return {}
    report = json.loads(done.stdout)
    return {"kernels": report["kernels"], "peak": report["peak"]}


def machine():
    model = platform.processor()
    try:
        model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": model, "cpus": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}",
            "load_average": round(os.getloadavg()[0], 1)}


def rounded(value):
    """Four significant digits, so that files can be compared by eye."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list) else value


def row_text(name, row, peers):
    def cell(side):
        if side not in row:
            return "–"
        return "–" if "ms" not in row[side] else f"{row[side]['ms']:.4g}"

    if "skipped" in row:
        return f"| {name} | – {'| – ' * len(peers)}| – | – | {row['skipped']} |"
    ratio = row.get("ratio")
    word = "" if ratio is None or abs(ratio - 1) <= TIE else "faster" if ratio < 1 else "slower"
    difference = "–" if row["difference"] is None else f"{row['difference']:.1e}"
    mark = "–" if ratio is None else f"**{ratio:.2f}**" if word == "faster" else f"{ratio:.2f}"
    notes = [word] + [f"{p} {row[p]['skipped']}" if row[p]["skipped"].startswith("wrong") else row[p]["skipped"] for p in peers if "skipped" in row.get(p, {})]
    return f"| {name} | {cell('ingot')} | {' | '.join(cell(p) for p in peers)} | {mark} | {difference} | {'; '.join(n for n in notes if n)[:100]} |"


def main():
    global THREADS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="the build folder (default: build)")
    parser.add_argument("--ingot", type=Path, help="the command (default: BUILD/bin/ingot)")
    parser.add_argument("--library", type=Path, help="the runtime (default: BUILD/runtime/libingot.so)")
    parser.add_argument("--shared", type=Path, help="unpacked models (default: BUILD/shared)")
    parser.add_argument("--models", help="patterns of names, separated by commas (default: all)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"separated by commas (default: {','.join(PEERS)})")
    parser.add_argument("--kernels", action="store_true", help="also measure each kernel, for the rooflines of the page")
    parser.add_argument("--target", default="host", help="what Ingot compiles for (default: host)")
    parser.add_argument("--rounds", type=int, default=7, help="at least 5 (default: 7)")
    parser.add_argument("--threads", type=int, default=1, help="of each side (default: 1)")
    parser.add_argument("--dynamic", action="store_true", help="leave dynamic dims free, on both sides")
    parser.add_argument("--json", type=Path, help="default: BUILD/results/peers.json")
    args = parser.parse_args()
    if args.rounds < 5:
        parser.error(f"got {args.rounds} rounds, expected at least 5")
    THREADS = args.threads
    args.ingot = args.ingot or args.build / "bin/ingot"
    args.library = args.library or args.build / "runtime/libingot.so"
    args.shared = args.shared or args.build / "shared"
    args.json = args.json or args.build / "results/peers.json"
    unpack = ROOT.parent / "shared/unpack"
    missing = [f for f in FOLDERS if not (args.shared / f).exists()]
    if missing and unpack.exists():
        subprocess.run([str(unpack), str(args.shared), *[Path(f).name for f in missing]], check=True, stdout=subprocess.DEVNULL)
    models = {"digits": args.build / "models/digits.onnx"}
    for folder in FOLDERS:
        for path in sorted((args.shared / folder).glob("**/model.onnx")):
            models[path.parent.relative_to(args.shared / folder).as_posix()] = path.parent
    if args.models:
        patterns = args.models.split(",")
        models = {m: f for m, f in models.items() if any(fnmatch.fnmatch(m, p) or fnmatch.fnmatch(m.split("/")[-1], p) for p in patterns)}
        if not models:
            parser.error(f"no model matches '{args.models}'")
    modules, np = {}, None
    for peer in args.peers.split(","):
        if peer not in PEERS:
            parser.error(f"unknown peer '{peer}', expected of {', '.join(PEERS)}")
        try:
            modules[peer] = import_module(args.build, peer)
        except Skip as e:
            modules[peer] = e
            print(f"skipped: {e}")
    if isinstance(modules.get("onnxruntime", Skip()), Skip):
        print("skipped: without onnxruntime there is no reference")
        return 0
    np = import_module(args.build, "numpy")
    peers = [p for p, m in modules.items() if not isinstance(m, Skip)]
    library = Ingot.load_library(args.library)
    result = {"machine": machine(), "threads": THREADS, "rounds": args.rounds, "block_seconds": BLOCK_SECONDS,
              "versions": {"ingot": library.ingot_version().decode(), **{p: modules[p].__version__ for p in peers}, "python": platform.python_version()},
              "models": {}}
    print(f"{result['machine']['cpu']}, {result['machine']['cpus']} CPUs, load average {result['machine']['load_average']}; "
          f"{THREADS} thread{'s' if THREADS > 1 else ''}; {', '.join(p + ' ' + modules[p].__version__ for p in peers)}; "
          f"milliseconds of {'CPU' if THREADS == 1 else 'wall'} time, medians of {args.rounds} rounds\n")
    print(f"| model | ingot | {' | '.join(peers)} | ratio | difference | |\n|---|---|{'---|' * len(peers)}---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in models.items():
            try:
                row = measure(np, modules, library, args, name, folder, Path(scratch))
            except Skip as e:
                row = {"skipped": str(e)}
            result["models"][name] = row
            print(row_text(name, row, peers), flush=True)
    measured = [r["ratio"] for r in result["models"].values() if "ratio" in r]
    if measured:
        result["geometric_mean_ratio"] = math.exp(statistics.fmean(math.log(r) for r in measured))
        slower = sum(r > 1 + TIE for r in measured)
        faster = sum(r < 1 - TIE for r in measured)
        print(f"\ngeometric mean of ratios {result['geometric_mean_ratio']:.3f} over {len(measured)} models: {faster} faster, "
              f"{len(measured) - faster - slower} ties, {slower} slower, {len(result['models']) - len(measured)} skipped")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")
    page = args.json.with_suffix(".html")
    page.write_text(report.page(rounded(result), TIE), encoding="utf-8")
    print(f"written to {args.json} and {page}")
    return 0


THREADS = 1
if __name__ == "__main__":
    sys.exit(main())
