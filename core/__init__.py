"""The ground floor: records, skeletons, geometry and the part registry. Imports nothing of ours."""
