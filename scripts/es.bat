@echo off
rem Starts the event service: python -m pyro_events.es, with the Python of .venv where there is one.
setlocal
set "ROOT=%~dp0.."
set "PYTHON_EXE=python"
if exist "%ROOT%\.venv\Scripts\python.exe" set "PYTHON_EXE=%ROOT%\.venv\Scripts\python.exe"
if defined PYTHONPATH (set "PYTHONPATH=%ROOT%;%PYTHONPATH%") else (set "PYTHONPATH=%ROOT%")
"%PYTHON_EXE%" -m pyro_events.es %*
exit /b %ERRORLEVEL%
